declare module 'backchannel:n2n/log@0.1.1' {
  /**
   * Writes one line.
   */
  export function write(level: Level, text: string): void;
  /**
   * How much an operator should care.
   * # Variants
   * 
   * ## `"debug"`
   * 
   * Of use when looking for an error.
   * ## `"info"`
   * 
   * Worth knowing.
   * ## `"warn"`
   * 
   * Something is odd, the work goes on.
   * ## `"error"`
   * 
   * The work failed.
   */
  export type Level = 'debug' | 'info' | 'warn' | 'error';
}

// Makes a component of a module: node componentize.mjs SOURCE WIT WORLD COMPONENT. `backchannel build` runs it beside its node_modules.
import { writeFileSync } from 'node:fs';
import { componentize } from '@bytecodealliance/componentize-js';

const [sourcePath, witPath, worldName, to] = process.argv.slice(2);
// All that the engine would ask WASI for.
const disableFeatures = ['random', 'stdio', 'clocks', 'http', 'fetch-event'];
try {
  const { component } = await componentize({ sourcePath, witPath, worldName, disableFeatures });
  writeFileSync(to, component);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}

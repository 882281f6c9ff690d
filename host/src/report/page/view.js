// What is shown of the report: the range of time, the filters, and where each row stands.

const ROW = 32;
const GAP = 20;

const whole = [0, Math.max(1, report.about.until)];
const view = {
  range: [...whole],
  node: "",
  kind: "",
  run: "",
  state: "",
  text: "",
  /** Rows that pass, each with its `top` and `height`. */
  rows: [],
  height: 0,
  /** The rows where faults begin and end, by their place in the report. */
  edges: { true: [], false: [] },
  /** The place in `rows` of the chosen one. */
  chosen: -1,
};

/** Everything that is known of a message, for the search; made when first needed. */
const searchable = new Map();
function words(row) {
  const thing = row.arrow ?? row.fault ?? row.moment ?? row.finding;
  if (!searchable.has(thing)) {
    const number = row.arrow ? ` ${numbered(row.arrow)} ` : "";
    searchable.set(thing, (JSON.stringify(thing) + number).toLowerCase());
  }
  return searchable.get(thing);
}

/** Messages that did not come to what they were sent for. */
const isTrouble = (arrow) => arrow.state !== "treated";

function passes(row) {
  if (row.at < view.range[0] || row.at > view.range[1]) return false;
  if (view.text && !words(row).includes(view.text)) return false;
  const { arrow } = row;
  if (!arrow) {
    const lanes = row.moment?.lanes ?? (row.fault ? [row.fault.lane, ...(row.fault.lane === "relay" ? [view.node] : [])] : [view.node]);
    // Faults and findings stay beside whatever messages are shown: they may be the reason.
    if (row.type === "moment" && (view.kind || view.run || view.state)) return false;
    return !view.node || lanes.includes(view.node);
  }
  if (view.node && arrow.from !== view.node && arrow.to !== view.node) return false;
  if (view.kind && arrow.kind !== view.kind) return false;
  if (view.run && arrow.run !== view.run) return false;
  if (view.state === "trouble") return isTrouble(arrow);
  if (view.state === "hit") return arrow.hits !== undefined;
  return !view.state || arrow.state === view.state;
}

/** Chooses the rows and stacks them; a silence takes a little room of its own. */
function arrange() {
  const chosen = view.rows[view.chosen];
  const rows = [];
  view.edges = { true: [], false: [] };
  let top = 0;
  let before;
  const passing = allRows.filter(passes);
  // Beside some messages only what happened while they were on their way.
  const some = view.kind || view.run || view.state;
  const times = passing.filter((row) => row.arrow).map((row) => row.at);
  const [from, until] = [times[0] ?? Infinity, times.at(-1) ?? -Infinity];
  for (const row of passing) {
    if (some && !row.arrow && (row.at > until || (row.fault?.until ?? row.at) < from)) continue;
    if (before !== undefined && row.at - before >= SILENCE) {
      rows.push({ at: row.at, type: "gap", after: row.at - before, top, height: GAP });
      top += GAP;
    }
    row.top = top;
    row.height = ROW;
    top += ROW;
    rows.push(row);
    if (row.type === "fault") view.edges[row.begins][row.index] = row;
    before = row.at;
  }
  view.rows = rows;
  view.height = top;
  view.chosen = chosen ? rows.indexOf(chosen) : -1;
}

/** The first row at or after a time. */
function rowAt(at) {
  let [low, high] = [0, view.rows.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (view.rows[middle].at < at) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The height of a time in the diagram; times out of range are at its edges. */
function heightOf(at) {
  if (at < view.range[0]) return 0;
  const row = view.rows[rowAt(at)];
  return row ? row.top + row.height / 2 + 4 : view.height;
}

/** Shows a range of time, no shorter than a microsecond per row would need and never beyond the run. */
function setRange(from, until) {
  const shortest = Math.min(1000, whole[1]);
  const length = Math.min(Math.max(until - from, shortest), whole[1]);
  const start = Math.min(Math.max(0, from), whole[1] - length);
  view.range = [Math.floor(start), Math.ceil(start + length)];
  refresh();
}

/** Makes the range shorter or longer around the chosen row, or its middle. */
function zoom(factor) {
  const [from, until] = view.range;
  const chosen = view.rows[view.chosen];
  const centre = chosen ? chosen.at : (from + until) / 2;
  const share = chosen ? (centre - from) / (until - from) : 0.5;
  const length = (until - from) * factor;
  setRange(centre - length * share, centre + length * (1 - share));
}

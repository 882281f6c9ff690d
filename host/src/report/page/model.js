// The report as it was embedded, and the rows that are made of it.

const report = JSON.parse(document.getElementById("report").textContent);

/** From this on a delivery has a row of its own, in microseconds: the same limit as in the text report. */
const LATE = 100_000;
/** A silence that is shown as such, in microseconds. */
const SILENCE = 1_000_000;

/** What became of messages: mark and words. No mark is told by colour alone. */
const STATES = {
  "treated": "treated",
  "refused": "refused",
  "failed": "failed",
  "cancelled": "cancelled",
  "dropped": "dropped",
  "lost": "lost",
  "under-way": "under way",
};

const seconds = (us) => (us / 1e6).toFixed(3);

/** What is left after the first decimal is cut off, as in the text report (measure.rs). */
const tenths = (number, unit) => (Math.floor((number * 10) / unit) / 10).toFixed(1);

/** How long, with the digits that matter. */
function span(us) {
  if (us < 1000) return `${us} µs`;
  if (us < 1e6) return `${Math.floor(us / 1000)} ms`;
  return us < 1e8 ? `${tenths(us, 1e6)} s` : `${Math.floor(us / 1e6)} s`;
}

function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1 << 20 ? `${tenths(bytes, 1024)} KiB` : `${tenths(bytes, 1 << 20)} MiB`;
}

/** A message's name for people: its number at the relay if it has one. */
const numbered = (arrow) => (arrow.n === undefined ? "" : `#${arrow.n}`);
const kindOf = (arrow) => arrow.kind ?? "unknown to its ends";

/** When its receiver got it without delay, if it did. */
function promptly(arrow) {
  const first = arrow.delivered?.[0];
  return first !== undefined && first - arrow.at < LATE;
}

/** How the `i`th delivery of a message ended. */
function stateOfDelivery(arrow, i) {
  const treated = arrow.treated?.[i];
  if (arrow.delivered.length < 2 || !treated) return i === 0 || arrow.delivered.length < 2 ? arrow.state : "under-way";
  return treated.dropped === undefined ? "treated" : arrow.state === "cancelled" ? "cancelled" : "refused";
}

/** All rows in order of time: messages when they were made, late deliveries, beginnings and ends of faults, starts, findings. */
function makeRows() {
  const rows = [];
  report.arrows.forEach((arrow, index) => {
    rows.push({ at: arrow.at, type: "message", arrow, index });
    (arrow.delivered ?? []).forEach((at, i) => {
      if (i > 0 || !promptly(arrow)) rows.push({ at, type: "delivery", arrow, index, delivery: i });
    });
  });
  report.faults.forEach((fault, index) => {
    rows.push({ at: fault.at, type: "fault", fault, index, begins: true });
    if (fault.until !== undefined) rows.push({ at: fault.until, type: "fault", fault, index, begins: false });
  });
  report.moments.forEach((moment) => rows.push({ at: moment.at, type: "moment", moment }));
  report.findings.forEach((finding, index) => rows.push({ at: finding.at, type: "broken", finding, index }));
  return rows.sort((a, b) => a.at - b.at);
}

/** What a node does for a run: from the request to its answer, its death or the end. */
function makeActivities() {
  const activities = [];
  report.arrows.forEach((arrow, index) => {
    const began = arrow.delivered?.[0] ?? arrow.sessions?.[0]?.calls[0]?.at;
    if (arrow.way !== "asked" || began === undefined) return;
    const answer = report.arrows[arrow.answered_by];
    const died = report.faults.find((it) => it.lane === arrow.to && it.at >= began && ["kill", "power", "died"].includes(it.fault));
    const last = arrow.sessions?.at(-1)?.calls.at(-1)?.at ?? began;
    const until = answer?.at ?? (arrow.state === "cancelled" ? (died?.at ?? last) : report.about.until);
    activities.push({ lane: arrow.to, at: began, until, state: arrow.state, index });
  });
  return activities;
}

const allRows = makeRows();
const activities = makeActivities();

/** An element with attributes and children; texts become text and nothing else. */
function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** The same for drawings. */
function drawn(name, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== undefined && child !== null));
  return made;
}

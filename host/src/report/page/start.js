// Filters, keys and print; and the first drawing.

/** Rows that are printed: some 50 pages. */
const MOST_PRINTED = 2000;
let printing = false;

/** Shows what the range and the filters let pass. */
function refresh() {
  arrange();
  redraw();
  drawOverview();
  const all = report.arrows.length;
  const shown = new Set(view.rows.filter((row) => row.arrow).map((row) => row.index)).size;
  document.getElementById("count").textContent = shown === all ? `${all} messages` : `${shown} of ${all} messages`;
  for (const [name, control] of Object.entries(controls)) control.classList.toggle("set", view[name] !== "");
}

/** Chooses the first row that `is` holds for, in sight of the diagram whatever was filtered before. */
function show(is) {
  let place = view.rows.findIndex(is);
  if (place < 0) {
    clearFilters();
    place = view.rows.findIndex(is);
  }
  if (place < 0) return;
  choose(place, { center: true });
  openDetails(view.rows[place]);
}

const showArrow = (index) => show((row) => row.type === "message" && row.index === index);
const showFault = (index) => show((row) => row.type === "fault" && row.begins && row.index === index);

const controls = {
  node: document.getElementById("by-node"),
  kind: document.getElementById("by-kind"),
  run: document.getElementById("by-run"),
  state: document.getElementById("by-state"),
  text: document.getElementById("by-text"),
};

function options(control, all, choices) {
  control.append(element("option", { value: "" }, all), ...choices.map(([value, text]) => element("option", { value }, text)));
}

function fillFilters() {
  const different = (values) => [...new Set(values.filter((value) => value !== undefined))].sort().map((value) => [value, value]);
  options(controls.node, "all nodes", report.lanes.filter((lane) => lane.role === "node").map((lane) => [lane.name, lane.name]));
  options(controls.kind, "all kinds", different(report.arrows.map((arrow) => arrow.kind)));
  options(controls.run, "all runs", different(report.arrows.map((arrow) => arrow.run)));
  const states = new Set(report.arrows.map((arrow) => arrow.state));
  const there = Object.entries(STATES).filter(([state]) => states.has(state));
  options(controls.state, "any end", [["trouble", "not treated"], ["hit", "hit by a fault"], ...there]);
  for (const [name, control] of Object.entries(controls)) {
    control.addEventListener("input", () => {
      view[name] = name === "text" ? control.value.toLowerCase().trim() : control.value;
      refresh();
    });
  }
}

function clearFilters() {
  for (const [name, control] of Object.entries(controls)) {
    control.value = "";
    view[name] = "";
  }
  view.range = [...whole];
  refresh();
}

/** The next row in a direction that a key moves to. */
function move(by, is = () => true) {
  let place = view.chosen < 0 ? (by > 0 ? -1 : view.rows.length) : view.chosen;
  do place += by;
  while (view.rows[place] && (view.rows[place].type === "gap" || !is(view.rows[place])));
  if (!view.rows[place]) return;
  choose(place);
  if (!details.hidden) openDetails(view.rows[place]);
}

const isWorthALook = (row) => row.type === "broken" || (row.type === "fault" && row.begins) || (row.type === "message" && isTrouble(row.arrow));

const keys = {
  ArrowDown: () => move(1),
  ArrowUp: () => move(-1),
  n: () => move(1, isWorthALook),
  p: () => move(-1, isWorthALook),
  Enter: () => view.rows[view.chosen] && openDetails(view.rows[view.chosen]),
  Escape: closeDetails,
  "/": () => controls.text.focus(),
  "+": () => zoom(1 / 2),
  "=": () => zoom(1 / 2),
  "-": () => zoom(2),
  0: () => setRange(...whole),
};

function listen() {
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input, select, textarea");
    const pressing = event.target.matches("button, summary") && event.key === "Enter";
    if (event.ctrlKey || event.altKey || event.metaKey || pressing || (typing && event.key !== "Escape")) return;
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  rowsBox.addEventListener("click", (event) => {
    const made = event.target.closest(".row");
    if (!made) return;
    const place = Number(made.dataset.place);
    choose(place);
    openDetails(view.rows[place]);
  });
  document.getElementById("zoom-in").addEventListener("click", () => zoom(1 / 2));
  document.getElementById("zoom-out").addEventListener("click", () => zoom(2));
  document.getElementById("zoom-all").addEventListener("click", () => setRange(...whole));
  document.getElementById("clear").addEventListener("click", clearFilters);
  document.getElementById("filters").addEventListener("submit", (event) => event.preventDefault());
  let waiting = false;
  diagram.addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      draw();
    });
  });
  new ResizeObserver(fit).observe(diagram);
  for (const [event, is] of [["beforeprint", true], ["afterprint", false]]) {
    window.addEventListener(event, () => {
      printing = is;
      redraw();
    });
  }
  listenToOverview();
}

/** Fits everything to the window. */
function fit() {
  measureLanes();
  drawLanes();
  redraw();
  drawOverview();
}

function drawLegend() {
  const legend = document.getElementById("legend");
  for (const [state, name] of [...Object.entries(STATES), ["held", "held by the relay"]]) {
    const sample = drawn("svg", { width: 34, height: 14, viewBox: `0 ${LINE - 7} 34 14`, class: state === "held" ? "treated" : state, "aria-hidden": "true" });
    sample.append(line(1, state === "treated" ? 24 : 17), mark(state, state === "dropped" || state === "lost" || state === "held" ? 25 : 32, 1));
    legend.append(element("span", {}, sample, name));
  }
}

fillFilters();
drawSummary();
drawLegend();
listen();
measureLanes();
drawLanes();
refresh();

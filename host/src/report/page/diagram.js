// The sequence diagram: time downwards, a column for each lane. Only what is in sight is drawn.

const diagram = document.getElementById("diagram");
const rowsBox = document.getElementById("rows");
const ground = document.getElementById("ground");
const drawnRows = new Map();

/** The width of the time's column, and of the lanes that have a fixed one. */
const TIME = 64;
const FIXED = { researcher: 92, relay: 104 };
const NARROWEST = 80;
const columns = new Map();
let lanesWidth = 0;
let outcomeWidth = 0;

const xOf = (lane) => columns.get(lane).x;

/** Shares the width out among the lanes. */
function measureLanes() {
  const width = diagram.clientWidth;
  outcomeWidth = Math.min(400, Math.max(210, Math.floor(width * 0.27)));
  const fixed = report.lanes.filter((lane) => FIXED[lane.role]);
  const nodes = report.lanes.length - fixed.length;
  const taken = fixed.reduce((sum, lane) => sum + FIXED[lane.role], TIME + outcomeWidth);
  const each = Math.max(NARROWEST, Math.floor((width - taken) / Math.max(1, nodes)));
  let left = 0;
  for (const lane of report.lanes) {
    const wide = FIXED[lane.role] ?? each;
    columns.set(lane.name, { x: left + wide / 2, width: wide, role: lane.role });
    left += wide;
  }
  lanesWidth = left;
}

function drawLanes() {
  const heads = report.lanes.map((lane) => {
    const { x, width } = columns.get(lane.name);
    const small = lane.role === "relay" ? [element("small", {}, "sees number, size")] : [];
    const head = element("div", { title: lane.name }, lane.name, ...small);
    head.style.left = `${TIME + x}px`;
    head.style.maxWidth = `${width - 6}px`;
    return head;
  });
  const time = element("div", { class: "edge" }, "seconds");
  const end = element("div", { class: "edge end" }, "what became of it");
  end.style.width = `${outcomeWidth}px`;
  const lanes = document.getElementById("lanes");
  lanes.style.width = `${TIME + lanesWidth + outcomeWidth}px`;
  lanes.replaceChildren(time, end, ...heads);
}

/** The first and last row in sight. */
function inSight() {
  if (printing) return [0, Math.min(view.rows.length, MOST_PRINTED) - 1];
  const top = diagram.scrollTop - 200;
  const bottom = diagram.scrollTop + diagram.clientHeight + 200;
  let [low, high] = [0, view.rows.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (view.rows[middle].top + view.rows[middle].height < top) low = middle + 1;
    else high = middle;
  }
  let last = low;
  while (last < view.rows.length && view.rows[last].top < bottom) last++;
  return [low, last - 1];
}

/** Draws what has come into sight and takes away what has left it. */
function draw() {
  const [first, last] = inSight();
  for (const [place, row] of drawnRows) {
    if (place < first || place > last) {
      row.remove();
      drawnRows.delete(place);
    }
  }
  for (let place = first; place <= last; place++) {
    if (drawnRows.has(place)) continue;
    const row = drawRow(view.rows[place], place);
    drawnRows.set(place, row);
    rowsBox.append(row);
  }
  drawGround(first, last);
}

/** Lifelines, faults and what nodes are busy with, behind the rows in sight. */
function drawGround(first, last) {
  const top = view.rows[first]?.top ?? 0;
  const end = view.rows[last];
  const bottom = end ? end.top + end.height : 0;
  const parts = [];
  const within = (from, until) => [Math.max(from, top), Math.min(until, bottom)];
  const edge = (begins, index, at) => {
    const row = view.edges[begins][index];
    return row ? row.top + LINE - 2 : heightOf(at);
  };
  const open = new Map();
  report.faults.forEach((fault, index) => {
    const column = columns.get(fault.lane);
    const inset = 5 * slotAmong(open, fault.lane, fault.at, fault.until ?? Infinity);
    const [from, until] = within(edge(true, index, fault.at), edge(false, index, fault.until ?? Infinity));
    if (from >= until || fault.at > view.range[1] || fault.until < view.range[0]) return;
    const width = column.width - 14 - inset;
    const x = column.x - column.width / 2 + 7 + inset;
    parts.push(drawn("rect", { class: "band", x, y: from, width, height: until - from }));
    parts.push(drawn("path", { class: "band-edge", d: `M${x} ${from}V${until}` }));
  });
  for (const { x } of columns.values()) parts.push(drawn("path", { class: "lifeline", d: `M${x} ${top}V${bottom}` }));
  const busy = new Map();
  for (const activity of activities) {
    const [from, until] = within(heightOf(activity.at), heightOf(activity.until));
    const slot = slotAmong(busy, activity.lane, activity.at, activity.until);
    if (from >= until || activity.at > view.range[1] || activity.until < view.range[0]) continue;
    const x = xOf(activity.lane) - 3 + slot * 5;
    const cut = activity.state === "cancelled" ? [drawn("rect", { class: "mark full", x: x - 2, y: until - 6, width: 10, height: 6 })] : [];
    const bar = drawn("rect", { class: "activity", x, y: from, width: 6, height: until - from, rx: 1 });
    parts.push(drawn("g", { class: activity.state }, bar, ...cut));
  }
  ground.replaceChildren(...parts);
  ground.setAttribute("width", lanesWidth);
  ground.setAttribute("height", Math.max(1, view.height));
}

/** What happens at one lane at the same time stands side by side: the place of the next one. */
function slotAmong(taken, lane, at, until) {
  const others = (taken.get(lane) ?? []).filter((other) => other.until > at);
  const slot = [0, 1, 2, 3].find((free) => others.every((other) => other.slot !== free)) ?? 3;
  taken.set(lane, [...others, { until, slot }]);
  return slot;
}

function drawRow(row, place) {
  const { arrow } = row;
  const made = element("div", {
    class: `row ${row.type === "delivery" ? "message" : row.type} ${arrow ? (row.type === "delivery" ? stateOfDelivery(arrow, row.delivery) : arrow.state) : ""}`,
    id: `row-${place}`,
    role: row.type === "gap" ? "presentation" : "option",
    "aria-setsize": view.rows.length,
    "aria-posinset": place + 1,
    "aria-selected": place === view.chosen,
    "data-place": place,
  });
  made.style.top = `${row.top}px`;
  made.style.height = `${row.height}px`;
  made.style.width = `${TIME + lanesWidth + outcomeWidth}px`;
  made.classList.toggle("chosen", place === view.chosen);
  made.classList.toggle("near", isNear(row));
  const drawing = drawn("svg", { width: lanesWidth, height: row.height, "aria-hidden": "true" });
  const outcome = element("span");
  const box = element("p", {}, outcome);
  box.style.width = `${outcomeWidth}px`;
  made.append(element("time", {}, row.type === "gap" ? "" : seconds(row.at)), drawing, box);
  fill[row.type](row, drawing, outcome, made);
  outcome.title = outcome.textContent;
  return made;
}

/** Whether a row is of the chosen message's exchange. */
function isNear(row) {
  const chosen = view.rows[view.chosen];
  if (!chosen?.arrow || !row.arrow) return false;
  const { index, arrow } = chosen;
  return row.index === index || row.index === arrow.answered_by || row.index === arrow.answers;
}

/** What became of a message: the word and then the rest, which may begin with the same word. */
function ending(arrow) {
  const word = STATES[arrow.state];
  const rest = arrow.outcome.startsWith(word) ? arrow.outcome.slice(word.length) : ` · ${arrow.outcome}`;
  return [element("span", { class: "state" }, word), rest];
}

/** What is in a row, by its type. */
const fill = {
  message(row, drawing, outcome, made) {
    const { arrow } = row;
    drawing.append(...messageDrawing(arrow, xOf));
    outcome.append(...ending(arrow));
    made.setAttribute("aria-label", `${seconds(row.at)} s, ${numbered(arrow)} ${kindOf(arrow)} from ${arrow.from} to ${arrow.to}: ${arrow.outcome}`);
  },
  delivery(row, drawing, outcome, made) {
    const { arrow, delivery } = row;
    drawing.append(...deliveryDrawing(arrow, delivery, xOf));
    const state = stateOfDelivery(arrow, delivery);
    const which = delivery > 0 ? "again, " : "";
    const late = `${numbered(arrow)} arrives ${which}${span(row.at - arrow.at)} late`;
    const why = arrow.treated?.[delivery]?.dropped;
    outcome.append(element("span", { class: "state" }, STATES[state]), ` · ${late}${why ? `: ${why}` : ""}`);
    made.setAttribute("aria-label", `${seconds(row.at)} s, ${kindOf(arrow)} ${late} at ${arrow.to}`);
  },
  fault(row, drawing, outcome, made) {
    const { fault, begins } = row;
    const { x, width } = columns.get(fault.lane);
    const [left, right] = [x - width / 2 + 7, x + width / 2 - 7];
    drawing.append(drawn("path", { class: "band-edge", d: `M${left} ${LINE - 2}H${right}` }));
    const text = drawn("text", { class: "halo small", x, y: WORDS, "text-anchor": "middle" });
    text.textContent = fitting(begins ? fault.words : `${fault.fault} over`, width - 12);
    drawing.append(text);
    const lasts = fault.until === undefined ? ", to the end" : ` for ${span(fault.until - fault.at)}`;
    outcome.append(begins ? `${fault.lane} ${fault.words}${lasts}` : `${fault.lane} ${fault.over}`);
    made.classList.add("message");
    made.setAttribute("aria-label", `${seconds(row.at)} s, fault: ${outcome.textContent}`);
  },
  moment(row, drawing, outcome, made) {
    const { moment } = row;
    for (const lane of moment.lanes) {
      drawing.append(drawn("circle", { class: "mark full", cx: xOf(lane), cy: LINE - 6, r: 3.5 }));
    }
    outcome.append(element("span", { class: "muted" }, moment.text));
    made.setAttribute("aria-label", `${seconds(row.at)} s, ${moment.text}`);
  },
  broken(row, drawing, outcome, made) {
    const text = drawn("text", { x: 10, y: LINE - 2 });
    text.textContent = fitting(`broken: ${row.finding.how}`, lanesWidth - 20);
    drawing.append(text);
    outcome.append(`must hold: ${row.finding.invariant}`);
    made.classList.add("message");
    made.setAttribute("aria-label", `broken: ${row.finding.invariant}: ${row.finding.how}`);
  },
  gap(row, drawing) {
    const text = drawn("text", { class: "muted small", x: 6, y: 14 });
    text.textContent = `${span(row.after)} later`;
    drawing.append(text);
  },
};

/** Draws all rows anew. */
function redraw() {
  for (const row of drawnRows.values()) row.remove();
  drawnRows.clear();
  document.getElementById("more")?.remove();
  const left = printing ? view.rows.length - MOST_PRINTED : 0;
  let height = view.height;
  if (left > 0) {
    const last = view.rows[MOST_PRINTED - 1];
    const more = element("p", { id: "more" }, `… and ${count(left, "more row")}`);
    more.style.top = `${last.top + last.height}px`;
    rowsBox.append(more);
    height = last.top + last.height + more.offsetHeight;
  }
  rowsBox.style.height = `${height}px`;
  rowsBox.style.width = `${TIME + lanesWidth + outcomeWidth}px`;
  ground.style.left = `${TIME}px`;
  document.getElementById("empty")?.remove();
  if (!view.rows.some((row) => row.type !== "gap")) {
    rowsBox.append(element("p", { id: "empty" }, "Nothing of the run passes these filters and this range of time."));
  }
  draw();
}

/** Brings the lanes of a row into sight, where there are many. */
function sideways(row) {
  const lanes = row.arrow ? [row.arrow.from, row.arrow.to] : row.fault ? [row.fault.lane] : [];
  const left = Math.min(...lanes.map((lane) => xOf(lane) - columns.get(lane).width / 2));
  const right = Math.max(...lanes.map((lane) => xOf(lane) + columns.get(lane).width / 2));
  const sight = diagram.clientWidth - TIME - outcomeWidth;
  if (left < diagram.scrollLeft || right > diagram.scrollLeft + sight) {
    // What does not fit shows its sender's side.
    diagram.scrollLeft = right - left < sight ? left - (sight - (right - left)) / 2 : xOf(row.arrow.from) - sight / 4;
  }
}

/** Chooses a row, brings it into sight and tells whoever reads aloud. */
function choose(place, { center = false } = {}) {
  view.chosen = place;
  const row = view.rows[place];
  if (row) {
    const head = document.getElementById("lanes").offsetHeight;
    const sight = diagram.clientHeight - head;
    if (center || row.top < diagram.scrollTop || row.top + row.height > diagram.scrollTop + sight) {
      diagram.scrollTop = Math.max(0, row.top - sight / 2);
    }
    sideways(row);
  }
  redraw();
  if (row) diagram.setAttribute("aria-activedescendant", `row-${place}`);
  else diagram.removeAttribute("aria-activedescendant");
}

// How a message is drawn in its row: an arrow whose line, mark and colour say what became of it.

/** Where the line is in a row, and where the words stand over it. */
const LINE = 22;
const WORDS = 13;

const measure = document.createElement("canvas").getContext("2d");
measure.font = '11px system-ui, "Segoe UI", "DejaVu Sans", sans-serif';

/** A text that fits, cut in its middle: the end of a kind says whether it is a request. */
function fitting(text, width) {
  if (measure.measureText(text).width <= width) return text;
  const end = /[A-Z][a-z]*$/.exec(text)?.[0].length ?? 4;
  for (let keep = text.length - 1; keep > 3; keep--) {
    const tail = Math.min(end, keep >> 1);
    const cut = `${text.slice(0, keep - tail)}…${text.slice(-tail)}`;
    if (measure.measureText(cut).width <= width) return cut;
  }
  return "…";
}

/** A mark at the end of an arrow. `way` is 1 to the right, -1 to the left. */
function mark(state, x, way) {
  const at = x - way * 7;
  switch (state) {
    case "treated":
      return drawn("path", { class: "mark full", d: `M${x} ${LINE}l${-way * 8} -4v8z` });
    case "refused": // a circle with a bar, as on a road
      return drawn("path", { class: "mark hollow", d: `M${at - 5} ${LINE}a5 5 0 1 1 10 0a5 5 0 1 1 -10 0zm2 0h6` });
    case "failed": // a cross in a circle
      return drawn("path", { class: "mark hollow", d: `M${at - 5.5} ${LINE}a5.5 5.5 0 1 1 11 0a5.5 5.5 0 1 1 -11 0zm3.3 -2.2l4.4 4.4m0 -4.4l-4.4 4.4` });
    case "cancelled": // a square
      return drawn("path", { class: "mark full", d: `M${at - 4} ${LINE - 4}h8v8h-8z` });
    case "dropped": // a cross
      return drawn("path", { class: "mark", d: `M${x - 5} ${LINE - 5}l10 10m0 -10l-10 10` });
    case "lost": // a ring
      return drawn("circle", { class: "mark hollow", cx: x, cy: LINE, r: 4.5 });
    case "held": // a clock
      return drawn("path", { class: "mark hollow", d: `M${x - 6} ${LINE}a6 6 0 1 1 12 0a6 6 0 1 1 -12 0zm6 -3.5v3.5h2.8` });
    default: // an open head: it is still going
      return drawn("path", { class: "mark", d: `M${x - way * 6} ${LINE - 4}l${way * 6} 4l${-way * 6} 4` });
  }
}

function line(from, to) {
  return drawn("path", { class: "arrow", d: `M${from} ${LINE}H${to}` });
}

/** A message's kind over its arrow, beside the relay's column where the arrow crosses it. */
function label(text, from, to) {
  const relay = columns.get("relay");
  // Nothing else stands in this row, so the words may be longer than the arrow.
  const fits = fitting(text, Math.abs(to - from) + 40);
  let x = (from + to) / 2;
  if (relay && Math.min(from, to) < relay.x && Math.max(from, to) > relay.x) {
    x = Math.max((relay.x + Math.max(from, to)) / 2, relay.x + 20 + measure.measureText(fits).width / 2);
  }
  const shown = drawn("text", { class: "halo", x, y: WORDS, "text-anchor": "middle" });
  shown.textContent = fits;
  return shown;
}

/** What the relay sees of a message, beside what its ends know. */
function relayed(arrow, x) {
  const seen = [numbered(arrow), arrow.bytes === undefined ? "" : size(arrow.bytes)].filter((part) => part).join(" · ");
  const text = drawn("text", { class: "halo muted small", x, y: WORDS, "text-anchor": "middle" });
  text.textContent = seen;
  return drawn("g", {}, text, drawn("circle", { class: "mark full", cx: x, cy: LINE, r: 2.5 }));
}

/** Where the relay holds, drops or loses a message: in its own lane if the arrow crosses it, else halfway. */
function halfway(from, to) {
  const relay = columns.get("relay")?.x;
  return relay > Math.min(from, to) && relay < Math.max(from, to) ? relay : (from + to) / 2;
}

/** A message in the row of its making. */
function messageDrawing(arrow, xOf) {
  const [from, to] = [xOf(arrow.from), xOf(arrow.to)];
  const way = to > from ? 1 : -1;
  const middle = halfway(from, to);
  const parts = [];
  const start = drawn("circle", { class: "mark full", cx: from, cy: LINE, r: 2.5 });
  if (promptly(arrow) || arrow.way === "answered" || (!arrow.delivered && arrow.sessions)) {
    const state = arrow.delivered ? stateOfDelivery(arrow, 0) : arrow.state;
    // An arrow to oneself has no length.
    if (from === to) parts.push(start, mark(state, from + 14, 1));
    else parts.push(line(from + way * 3, to - way * (state === "treated" ? 7 : 13)), start, mark(state, to - way, way));
    parts.push(label(kindOf(arrow), from, to));
  } else {
    const stopped = { dropped: "dropped", lost: "lost" }[arrow.state] ?? (arrow.delivered ? "held" : "under-way");
    parts.push(line(from + way * 3, middle - way * 8), start, mark(stopped, middle, way), label(kindOf(arrow), from, to));
  }
  if (arrow.hits) parts.push(drawn("path", { class: "hit", d: `M${middle - way * 18} ${LINE - 6}l-4 7h3l-1 5l5 -7h-3z` }));
  if (arrow.n !== undefined) parts.unshift(relayed(arrow, xOf("relay")));
  return parts;
}

/** A late delivery: from there to the receiver. */
function deliveryDrawing(arrow, delivery, xOf) {
  const [from, to] = [xOf(arrow.from), xOf(arrow.to)];
  const way = to > from ? 1 : -1;
  const middle = halfway(from, to);
  const state = stateOfDelivery(arrow, delivery);
  const text = drawn("text", { class: "halo muted small", x: xOf("relay"), y: WORDS, "text-anchor": "middle" });
  text.textContent = numbered(arrow);
  return [
    line(middle + way * 8, to - way * (state === "treated" ? 7 : 13)),
    mark("held", middle, way),
    mark(state, to - way, way),
    label(kindOf(arrow), from, to),
    text,
  ];
}

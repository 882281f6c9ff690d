// The overview: how many messages when, which faults lasted, and the range that the diagram shows.

const overview = document.getElementById("overview");
/** Heights in pixels: the bars, a fault's lane, the scale. */
const BARS = 38;
const STRIP = 11;
const SCALE = 15;
const LEFT = 72;
/** Lanes of faults that get a strip; further ones share the last. */
const MOST_STRIPS = 6;

const faultLanes = report.lanes.map((lane) => lane.name).filter((name) => report.faults.some((fault) => fault.lane === name));
const strips = Math.min(MOST_STRIPS, faultLanes.length);
const overviewHeight = BARS + strips * STRIP + SCALE;
let overviewWidth = 0;

const timeOf = (x) => ((x - LEFT) / overviewWidth) * whole[1];
const placeOf = (at) => LEFT + (at / whole[1]) * overviewWidth;

/** Steps of 1, 2 or 5 on the scale, some 100 pixels apart. */
function step() {
  const rough = (whole[1] / Math.max(1, overviewWidth)) * 100;
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((it) => it * power).find((it) => it >= rough);
}

function drawOverview() {
  overviewWidth = Math.max(50, overview.clientWidth - LEFT - 8);
  overview.setAttribute("height", overviewHeight);
  const parts = [];
  const bars = Math.floor(overviewWidth / 4);
  const [fine, trouble] = [new Array(bars + 1).fill(0), new Array(bars + 1).fill(0)];
  for (const arrow of report.arrows) {
    (isTrouble(arrow) ? trouble : fine)[Math.floor((arrow.at / whole[1]) * bars)]++;
  }
  const most = Math.max(1, ...fine.map((count, i) => count + trouble[i]));
  // By the root, so that one message is seen beside a burst of hundreds.
  const high = (count) => (count ? Math.max(3, Math.sqrt(count / most) * (BARS - 4)) : 0);
  for (let i = 0; i <= bars; i++) {
    const all = high(fine[i] + trouble[i]);
    const bad = trouble[i] ? Math.max(3, (all * trouble[i]) / (fine[i] + trouble[i])) : 0;
    const x = LEFT + i * 4;
    if (all) parts.push(drawn("rect", { class: "bar", x, y: BARS - all, width: 3, height: all }));
    if (bad) parts.push(drawn("rect", { class: "bar bad", x, y: BARS - bad, width: 3, height: bad }));
  }
  parts.push(sideWords("messages", BARS - 4));
  faultLanes.slice(0, strips).forEach((lane, i) => {
    parts.push(sideWords(i === strips - 1 && faultLanes.length > strips ? "others" : lane, BARS + (i + 1) * STRIP));
  });
  for (const fault of report.faults) {
    const strip = Math.min(faultLanes.indexOf(fault.lane), strips - 1);
    const [from, until] = [placeOf(fault.at), placeOf(fault.until ?? whole[1])];
    const band = drawn("rect", { class: "strip", x: from, y: BARS + strip * STRIP + 3, width: Math.max(3, until - from), height: STRIP - 5 });
    band.append(drawn("title", {}, `${fault.lane} ${fault.words}`));
    parts.push(band);
  }
  for (const finding of report.findings) {
    parts.push(drawn("path", { class: "found", d: `M${placeOf(finding.at)} 0V${BARS + strips * STRIP}` }));
  }
  for (let at = 0; at <= whole[1]; at += step()) {
    const text = drawn("text", { class: "muted small", x: placeOf(at), y: overviewHeight - 3, "text-anchor": at === 0 ? "start" : "middle" });
    text.textContent = `${+(at / 1e6).toFixed(3)} s`;
    parts.push(text);
  }
  const [from, until] = view.range.map(placeOf);
  const bottom = BARS + strips * STRIP;
  const out = { class: "out", y: 0, height: bottom };
  parts.push(drawn("rect", { ...out, x: LEFT, width: Math.max(0, from - LEFT) }));
  parts.push(drawn("rect", { ...out, x: until, width: Math.max(0, LEFT + overviewWidth - until) }));
  parts.push(drawn("rect", { class: "window", x: from, y: 0.5, width: Math.max(4, until - from), height: bottom - 1 }));
  overview.replaceChildren(...parts);
}

function sideWords(text, y) {
  const shown = drawn("text", { class: "muted small", x: LEFT - 6, y, "text-anchor": "end" });
  shown.textContent = fitting(text, LEFT - 8);
  return shown;
}

/** Dragging chooses a range; a click brings the diagram to that time. */
function listenToOverview() {
  let from;
  const at = (event) => Math.min(whole[1], Math.max(0, timeOf(event.clientX - overview.getBoundingClientRect().left)));
  overview.addEventListener("pointerdown", (event) => {
    from = { x: event.clientX, at: at(event) };
    overview.setPointerCapture(event.pointerId);
  });
  overview.addEventListener("pointerup", (event) => {
    if (!from) return;
    const until = at(event);
    if (Math.abs(event.clientX - from.x) > 4) setRange(Math.min(from.at, until), Math.max(from.at, until));
    else {
      if (until < view.range[0] || until > view.range[1]) setRange(...whole);
      choose(Math.min(rowAt(until), view.rows.length - 1), { center: true });
    }
    from = undefined;
  });
}

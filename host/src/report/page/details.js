// Everything that is known of one message or fault, in a panel.

const details = document.getElementById("details");

function openDetails(row) {
  const parts = row.arrow ? arrowDetails(row.arrow) : row.fault ? faultDetails(row.fault) : row.finding ? findingDetails(row.finding) : [];
  if (!parts.length) return;
  const close = element("button", { class: "close", onclick: closeDetails, title: "Escape" }, "← Summary");
  details.replaceChildren(close, ...parts);
  details.hidden = false;
  details.scrollTop = 0;
}

function closeDetails() {
  details.hidden = true;
  diagram.focus();
}

/** A table of names and values; values that are missing are left out. */
function facts(entries) {
  const rows = entries
    .filter(([, value]) => value !== undefined && value !== "")
    .map(([name, value]) => element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, value)));
  return element("table", {}, element("tbody", {}, ...rows));
}

const mono = (text) => (text === undefined ? undefined : element("span", { class: "mono" }, text));

function link(index) {
  const arrow = report.arrows[index];
  if (!arrow) return undefined;
  return element("button", { class: "go", onclick: () => showArrow(index) }, `${kindOf(arrow)} ${numbered(arrow) || `at ${seconds(arrow.at)} s`}`);
}

function arrowDetails(arrow) {
  const parts = [
    element("h2", {}, `${kindOf(arrow)} ${numbered(arrow)}`),
    element("p", { class: `lead ${arrow.state}` }, ...ending(arrow)),
  ];
  const known = facts([
    ["from", arrow.from],
    ["to", arrow.to],
    ["run", arrow.run],
    ["request", mono(arrow.request)],
    ["part of", arrow.setup ? "a channel set-up" : undefined],
    ["answers", link(arrow.answers)],
    ["answered by", link(arrow.answered_by)],
  ]);
  if (arrow.way === "between" && arrow.n !== undefined) {
    const seen = facts([
      ["number", numbered(arrow)],
      ["from", arrow.from],
      ["to", arrow.to],
      ["size", arrow.bytes === undefined ? undefined : size(arrow.bytes)],
      ["id", mono(arrow.id)],
    ]);
    parts.push(element("h3", {}, "Who knows what"), element("div", { class: "views" },
      element("div", {}, element("h3", {}, "its ends"), known),
      element("div", {}, element("h3", {}, "the relay"), seen)));
  } else parts.push(element("h3", {}, "What it is"), known);
  parts.push(element("h3", {}, "What happened to it"), steps(arrow));
  for (const session of arrow.sessions ?? []) parts.push(...sessionDetails(session, arrow));
  return parts;
}

/** A message's way, step by step. */
function steps(arrow) {
  const steps = [[arrow.at, arrow.way === "between" ? `${arrow.from} sealed it` : `${arrow.from} made it`]];
  if (arrow.relayed !== undefined && arrow.way === "between") steps.push([arrow.relayed, "the relay took it"]);
  for (const hit of arrow.hits ?? []) steps.push([hit.at, `a fault hit it: ${hit.fault}${hit.how ? `, ${hit.how}` : ""}`]);
  for (const at of arrow.delivered ?? []) steps.push([at, `${arrow.to} got it`]);
  for (const { at, why } of arrow.lost ?? []) steps.push([at, `the relay no longer had it: ${why}`]);
  for (const treated of arrow.treated ?? []) {
    const by = treated.plugin ? ` by ${treated.plugin}` : "";
    const as = treated.as_id ? `, known there as ${treated.as_id}` : "";
    const end = treated.dropped === undefined ? `treated${by}` : `not treated: ${treated.dropped}`;
    steps.push([treated.at, end + as]);
    for (const effect of treated.effects ?? []) steps.push([treated.at, `effect: ${effect}`]);
  }
  steps.sort((a, b) => a[0] - b[0]);
  const rows = steps.map(([at, what]) => element("tr", {},
    element("td", { class: "number" }, seconds(at)),
    element("td", { class: "number muted" }, at === arrow.at ? "" : `+${span(at - arrow.at)}`),
    element("td", {}, what)));
  return element("table", {}, element("tbody", {}, ...rows));
}

function sessionDetails(session, arrow) {
  const what = arrow.way === "asked" ? "What it was asked" : "What it got";
  return [
    element("h3", {}, `Plugin ${session.plugin} on ${session.node}`),
    facts([["component", mono(session.digest.slice(0, 16))], ["sender known by", session.assurance]]),
    element("h4", {}, what),
    session.input.length ? fields(session.input) : element("p", { class: "muted" }, "no fields"),
    ...session.calls.flatMap(callDetails),
  ];
}

const fields = (list) => facts(list.map((field) => [field.name || "bytes", mono(field.value)]));

function callDetails(call) {
  const cost = [call.fuel === undefined ? "" : `${call.fuel.toLocaleString("en")} fuel`, size(call.memory)].filter((part) => part).join(", ");
  const ended = { nothing: "nothing to be done", found: "goes on", effects: "asks for effects" }[call.ended] ?? call.ended;
  const parts = [element("h4", {}, call.entry, element("span", {}, `at ${seconds(call.at)} s`), element("span", { class: "cost" }, cost))];
  if (call.answers) parts.push(fields(call.answers));
  const lines = (call.host_calls ?? []).map((it) => `${it.import}(${it.given.join(", ")}) → ${it.result}`);
  if (lines.length) parts.push(element("p", { class: "muted" }, "host calls"), list(lines));
  if (call.effects) parts.push(element("p", { class: "muted" }, "effects"), list(call.effects));
  else parts.push(element("p", { class: call.why || call.ended === "cancelled" ? "why" : "muted" }, call.why ? `${ended}: ${call.why}` : ended));
  return parts;
}

const list = (lines) => element("ul", { class: "list mono" }, ...lines.map((line) => element("li", {}, line)));

function faultDetails(fault) {
  const until = fault.until ?? report.about.until;
  const meant = report.arrows
    .map((arrow, index) => ({ arrow, index }))
    .filter(({ arrow }) => isTrouble(arrow) && [arrow.from, arrow.to, "relay"].includes(fault.lane) && overlaps(arrow, fault.at, until));
  const lines = meant.slice(0, 20).map(({ arrow, index }) => ({ at: arrow.at, arrow: index, text: `${arrow.from} → ${arrow.to} ${kindOf(arrow)} ${numbered(arrow)}: ${arrow.outcome}` }));
  const parts = [
    element("h2", {}, `${fault.lane} ${fault.words}`),
    facts([
      ["fault", fault.fault],
      ["from", `${seconds(fault.at)} s`],
      ["until", fault.until === undefined ? "the end of the trace" : `${seconds(fault.until)} s`],
    ]),
  ];
  if (lines.length) parts.push(element("h3", {}, "Messages that failed meanwhile"), evidenceList(lines, meant.length - lines.length));
  return parts;
}

/** Whether a message was under way at some time of a span. */
function overlaps(arrow, from, until) {
  const times = [arrow.at, ...(arrow.delivered ?? []), ...(arrow.treated ?? []).map((it) => it.at), ...(arrow.lost ?? []).map((it) => it.at)];
  return arrow.at <= until && Math.max(...times) >= from;
}

function findingDetails(finding) {
  return [
    element("h2", {}, finding.how),
    element("p", { class: "lead" }, `Must hold: ${finding.invariant}.`),
    element("h3", {}, "What led up to it"),
    evidenceList(finding.evidence, finding.more),
  ];
}

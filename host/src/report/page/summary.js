// The short answers: what was run, what broke, how each run ended, and where to look.

/** Runs without trouble that are shown at once. */
const MOST_OPEN = 6;

function drawSummary() {
  const { about, findings } = report;
  document.title = `${about.title}: ${report.verdict}`;
  document.getElementById("title").textContent = about.title;
  const verdict = document.getElementById("verdict");
  verdict.textContent = report.verdict;
  verdict.className = findings.length ? "bad" : about.checked && about.whole ? "good" : "none";
  document.getElementById("span").textContent = `backchannel ${about.build}`;
  const parts = [];
  if (!about.whole) parts.push(section("Not whole", element("p", {}, "The trace has no end: who wrote it was killed, left something out, or still writes.")));
  if (findings.length) parts.push(section("What broke", ...findings.map(findingCard)));
  const facts = report.facts.filter((fact) => fact.name !== "faults");
  const list = element("dl", { id: "facts" });
  for (const { name, value } of facts) list.append(element("dt", {}, name), element("dd", {}, value));
  parts.push(section("In numbers", list));
  const failed = report.runs.filter((run) => !run.done);
  const done = report.runs.filter((run) => run.done);
  if (failed.length) parts.push(section(count(failed.length, "run") + " not done", ...failed.map(runCard)));
  if (done.length) parts.push(section(count(done.length, "run") + " done", ...folded(done.map(runCard))));
  if (report.faults.length) parts.push(section("Faults", evidenceList(report.faults.map(faultLine))));
  if (about.plugins.length) {
    parts.push(section("Plugins", element("ul", {}, ...about.plugins.map(pluginLine))));
  }
  if (about.scenario.length) parts.push(section("Scenario", element("pre", {}, about.scenario.join("\n"))));
  document.getElementById("summary").replaceChildren(...parts);
}

const count = (number, what) => `${number} ${what}${number === 1 ? "" : "s"}`;

/** Cards, behind a line when there are many. */
function folded(cards) {
  if (cards.length <= MOST_OPEN) return cards;
  return [element("details", {}, element("summary", {}, "Show them"), ...cards)];
}

function section(title, ...children) {
  return element("section", {}, element("h2", {}, title), ...children);
}

function findingCard(finding) {
  return element("article", { class: "finding" },
    element("h3", {}, finding.how),
    element("p", {}, `Must hold: ${finding.invariant}.`),
    evidenceList(finding.evidence, finding.more));
}

/** Lines that lead to their places in the diagram. */
function evidenceList(lines, more = 0) {
  const items = lines.map((line) => {
    const go = () => (line.arrow !== undefined ? showArrow(line.arrow) : showFault(line.fault));
    const button = element("button", { class: "plain", onclick: go }, element("time", {}, seconds(line.at)), element("span", {}, line.text));
    return element("li", {}, button);
  });
  if (more) items.push(element("li", { class: "muted" }, `and ${more} more`));
  return element("ol", { class: "evidence" }, ...items);
}

function faultLine(fault, index) {
  const lasts = fault.until === undefined ? ", to the end" : ` for ${span(fault.until - fault.at)}`;
  return { at: fault.at, text: `${fault.lane} ${fault.words}${lasts}`, fault: index };
}

function runCard(run) {
  const parties = run.parties.map((party) => {
    const title = `${party.node}: ${party.outcome}`;
    return element("button", { class: party.state, title, onclick: () => showArrow(party.answered ?? party.asked) },
      `${party.state === "treated" ? "✓" : "✕"} ${party.node}`);
  });
  const card = element("article", { class: "run" },
    element("h3", {}, run.name, element("span", {}, run.kind)),
    element("div", { class: "parties" }, ...parties));
  if (!run.done && run.evidence.length) {
    const open = report.findings.length + report.runs.filter((it) => !it.done).length <= 2;
    const why = element("details", {}, element("summary", {}, "What led up to it"), evidenceList(run.evidence, run.more));
    why.open = open;
    card.append(why);
  }
  return card;
}

function pluginLine(plugin) {
  return element("li", {}, `${plugin.name} ${plugin.version} `, element("span", { class: "mono muted", title: plugin.digest }, plugin.digest.slice(0, 12)));
}

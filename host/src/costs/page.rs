//! Costs as one page, without a script: everything in it is in the file, and the file asks for nothing else.

use std::fmt::Write;

use super::plot::{self, Axis};
use super::{Costs, of_bytes, of_instructions, of_time};
use crate::html::{escaped, filled, hash};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = concat!(
    include_str!("../html/palette.css"),
    include_str!("page.css")
);

const HEADINGS: [&str; 13] = [
    "case",
    "times",
    "p50",
    "p99",
    "max",
    "sandbox",
    "handle",
    "final",
    "memory",
    "host calls",
    "effects",
    "of bytes",
    "log lines",
];

/// The page of plugins that were measured.
pub fn page(plugins: &[Costs]) -> String {
    let policy = format!(
        "default-src 'none'; style-src {}; base-uri 'none'; form-action 'none'",
        hash(STYLE)
    );
    let names: Vec<_> = plugins.iter().map(|costs| costs.plugin.as_str()).collect();
    let title = format!("What {} costs per message", names.join(", "));
    let sections: Vec<_> = plugins.iter().map(section).collect();
    let parts = [
        ("{{policy}}", policy.as_str()),
        ("{{title}}", &escaped(&title)),
        ("{{style}}", STYLE),
        ("{{plugins}}", &sections.join("\n")),
    ];
    filled(PAGE, &parts)
}

fn section(costs: &Costs) -> String {
    let mut html = format!(
        "<h1>What {} {} costs per message</h1>\n<p class=\"muted\">Times are the computing of all calls of a case on the engine of a node, their \
         instances made; waits take none. The component has {}; an instance that nothing is called of takes {} (p50), {} (p99).</p>\n",
        escaped(&costs.plugin),
        escaped(&costs.version),
        of_bytes(costs.file_bytes),
        of_time(costs.sandbox.p50()),
        of_time(costs.sandbox.p99())
    );
    left_out(&mut html, costs);
    if costs.cases.is_empty() {
        return html;
    }
    table(&mut html, costs);
    let _ = write!(
        html,
        "<h2>Sandbox and handler</h2>\n<figure class=\"bars\"><figcaption class=\"muted\"><span class=\"key sandbox\"></span>sandbox: making the \
         instances<span class=\"key handler\"></span>handler: the rest, of the p50</figcaption>\n{}</figure>\n",
        plot::bars(costs)
    );
    let all = costs.cases.iter().map(|cost| &cost.time);
    let axis = Axis::over(all.chain([&costs.sandbox]));
    html.push_str(
        "<h2>Distribution of times</h2>\n<p class=\"muted\">Which part of a case's times is no longer than that: circles at p50 and p99; \
         dashed, an instance that nothing is called of.</p>\n<div class=\"curves\">\n",
    );
    for cost in &costs.cases {
        let _ = writeln!(
            html,
            "<figure><figcaption>{}</figcaption>{}</figure>",
            escaped(&cost.case),
            plot::curve(cost, &costs.sandbox, &axis)
        );
    }
    html.push_str("</div>\n");
    if costs.wrong().is_none() {
        let _ = writeln!(
            html,
            "<h2>Limits that follow</h2>\n<pre>{}</pre>",
            escaped(&costs.policy_fragment())
        );
    }
    html
}

fn left_out(html: &mut String, costs: &Costs) {
    if costs.left_out.is_empty() {
        return;
    }
    html.push_str("<h2>Not measured</h2>\n");
    for case in &costs.left_out {
        let class = if case.fault { "failed" } else { "muted" };
        let _ = writeln!(
            html,
            "<p class=\"{class}\">{} ({}:{}): {}</p>",
            escaped(&case.case),
            escaped(&case.file.display().to_string()),
            case.line,
            escaped(&case.why)
        );
    }
}

fn table(html: &mut String, costs: &Costs) {
    html.push_str("<h2>Each case</h2>\n<div class=\"scroll\"><table>\n<thead><tr>");
    for heading in HEADINGS {
        let _ = write!(html, "<th scope=\"col\">{heading}</th>");
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for cost in &costs.cases {
        let sandbox = of_time(costs.sandbox_of(cost));
        row(html, &cost.case, &cost.time, &sandbox, &cost.most);
    }
    html.push_str("</tbody>\n<tfoot>\n");
    row(html, "all cases", &costs.time(), "", &costs.most());
    html.push_str("</tfoot>\n</table></div>\n");
}

fn row(html: &mut String, name: &str, time: &super::Samples, sandbox: &str, most: &super::Most) {
    let cells = [
        time.len().to_string(),
        of_time(time.p50()),
        of_time(time.p99()),
        of_time(time.longest()),
        sandbox.to_owned(),
        of_instructions(most.handle_instructions),
        of_instructions(most.final_instructions),
        of_bytes(most.memory_bytes),
        most.host_calls.to_string(),
        most.effects.to_string(),
        of_bytes(most.effect_bytes),
        most.log_lines.to_string(),
    ];
    let _ = write!(html, "<tr><th scope=\"row\">{}</th>", escaped(name));
    for cell in cells {
        let _ = write!(html, "<td>{cell}</td>");
    }
    html.push_str("</tr>\n");
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::super::{Cost, LeftOut, Most, Samples};
    use super::*;

    /// A name that a file of cases can have.
    const HOSTILE: &str = "</svg><script src=\"//x\">&amp;{{style}}";

    fn costs() -> Costs {
        let time: Samples = (1..=300).map(Duration::from_micros).collect();
        let case = |name: &str| Cost {
            file: PathBuf::from("cases/a.toml"),
            case: name.into(),
            instances: 1,
            handle: time.clone(),
            finalize: Samples::default(),
            time: time.clone(),
            most: Most::default(),
        };
        Costs {
            plugin: "echo".into(),
            version: "1.0.0".into(),
            file_bytes: 80_000,
            instances: 3,
            tables: 2,
            cases: vec![case("answers"), case(HOSTILE)],
            left_out: vec![LeftOut {
                file: PathBuf::from(HOSTILE),
                line: 3,
                case: HOSTILE.into(),
                why: HOSTILE.into(),
                fault: false,
            }],
            sandbox: (1..=30).map(Duration::from_micros).collect(),
        }
    }

    #[test]
    fn no_name_of_a_case_becomes_markup() {
        let page = page(&[costs()]);

        assert!(!page.contains("<script") && !page.contains("</svg><s"));
        assert!(page.contains("&lt;/svg>&lt;script src=&quot;//x&quot;>&amp;amp;{{style}}"));
        assert_eq!(page.matches(STYLE).count(), 1);
    }

    #[test]
    fn the_page_names_nothing_outside_itself_and_runs_nothing() {
        let mut costs = costs();
        costs.cases.pop();
        costs.left_out.clear();
        let page = page(&[costs]);

        for outside in [
            "src=", "href=", "url(", "@import", "://", "script", " style=",
        ] {
            assert!(!page.contains(outside), "{outside}");
        }
        let policy = format!("default-src 'none'; style-src {};", hash(STYLE));
        assert!(page.contains(&policy));
    }

    #[test]
    fn each_case_has_a_curve_and_all_of_them_bars() {
        let page = page(&[costs()]);

        assert_eq!(page.matches("<svg ").count(), 3);
        assert_eq!(page.matches("</svg>").count(), 3);
        assert_eq!(page.matches("class=\"curve sandbox\"").count(), 2);
        assert_eq!(page.matches("<rect ").count(), 4);
    }

    #[test]
    fn what_failed_is_told_and_no_limits_are_drawn_from_the_rest() {
        let mut costs = costs();
        costs.left_out[0].fault = true;
        costs.left_out[0].why = "it trapped".into();
        let page = page(&[costs]);

        assert!(page.contains("): it trapped"));
        assert!(!page.contains("[plugin.echo.limits]"));
    }
}

//! Plots, as SVG.

use std::fmt::Write;
use std::time::Duration;

use super::{Cost, Costs, Samples, of_time};
use crate::html::escaped;
use crate::message::one_line;

/// Of a curve and the bars, in the units of their coordinates.
const CURVE: (f64, f64) = (340.0, 170.0);
const BARS: f64 = 1100.0;
/// What is around a curve: left, right, top, bottom.
const AROUND: [f64; 4] = [34.0, 14.0, 8.0, 20.0];
/// A curve is drawn through so many points at most.
const POINTS: usize = 200;
/// Bars begin and end here, between a name and an amount.
const BAR: (f64, f64) = (330.0, 1000.0);
const ROW: f64 = 22.0;
/// Of a case's name, in bytes.
const LONGEST_NAME: usize = 50;

/// A logarithmic axis of times, from one power of ten to another.
pub(super) struct Axis {
    from: i32,
    to: i32,
}

impl Axis {
    /// One on which all of these have their place.
    pub(super) fn over<'a>(samples: impl Iterator<Item = &'a Samples> + Clone) -> Self {
        let ends = |end: fn(&Samples) -> Duration| {
            let measured = samples.clone().filter(|samples| !samples.is_empty());
            measured.map(move |samples| power(end(samples)))
        };
        let shortest = ends(|samples| samples.quantile(0.0)).fold(f64::INFINITY, f64::min);
        let longest = ends(Samples::longest).fold(f64::NEG_INFINITY, f64::max);
        if shortest > longest {
            return Self { from: -6, to: -3 };
        }
        let from = shortest.floor() as i32;
        Self {
            from,
            to: (longest.ceil() as i32).max(from + 1),
        }
    }

    /// Where a time is on it, 0 to 1.
    fn place(&self, time: Duration) -> f64 {
        let place = (power(time) - f64::from(self.from)) / f64::from(self.to - self.from);
        place.clamp(0.0, 1.0)
    }

    fn ticks(&self) -> impl Iterator<Item = Duration> {
        let powers = self.from..=self.to;
        powers.map(|power| Duration::from_secs_f64(10_f64.powi(power)))
    }
}

/// The power of ten that a time is, in seconds. None is shorter than a nanosecond.
fn power(time: Duration) -> f64 {
    time.as_secs_f64().max(1e-9).log10()
}

/// Which part of a case's times is no longer than a time, with that of an instance alone behind it.
pub(super) fn curve(cost: &Cost, sandbox: &Samples, axis: &Axis) -> String {
    let (width, height) = CURVE;
    let [left, right, top, bottom] = AROUND;
    let x = |time| left + axis.place(time) * (width - left - right);
    let y = |part: f64| height - bottom - part * (height - top - bottom);
    let name = escaped(&format!(
        "{}: half in {}, all but one in a hundred in {}, the longest {}",
        cost.case,
        of_time(cost.time.p50()),
        of_time(cost.time.p99()),
        of_time(cost.time.longest())
    ));
    let mut svg =
        format!("<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{name}\">\n");
    for tick in axis.ticks() {
        let x = x(tick);
        let (from, to) = (y(1.0), y(0.0));
        let _ = writeln!(
            svg,
            "<path class=\"grid\" d=\"M{x:.1} {from:.1}V{to:.1}\"/><text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            height - 5.0,
            of_time(tick)
        );
    }
    for part in [0.0, 0.5, 1.0] {
        let y = y(part);
        let _ = writeln!(
            svg,
            "<path class=\"grid\" d=\"M{left} {y:.1}H{:.1}\"/><text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}%</text>",
            width - right,
            left - 5.0,
            y + 4.0,
            part * 100.0
        );
    }
    let line = |samples: &Samples| {
        let times: Vec<_> = samples.iter().collect();
        let points = times.len().min(POINTS);
        let mut d = String::new();
        for point in 1..=points {
            // The last is the longest.
            let rank = point * times.len() / points;
            let (x, y) = (x(times[rank - 1]), y(rank as f64 / times.len() as f64));
            let command = if d.is_empty() { 'M' } else { 'L' };
            let _ = write!(d, "{command}{x:.1} {y:.1}");
        }
        d
    };
    let _ = writeln!(
        svg,
        "<path class=\"curve sandbox\" d=\"{}\"/><path class=\"curve\" d=\"{}\"/>",
        line(sandbox),
        line(&cost.time)
    );
    for part in [0.5, 0.99] {
        let time = cost.time.quantile(part);
        let _ = writeln!(
            svg,
            "<circle class=\"mark\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\"><title>p{}: {}</title></circle>",
            x(time),
            y(part),
            part * 100.0,
            of_time(time)
        );
    }
    svg.push_str("</svg>");
    svg
}

/// A bar for each case: how long half of its times are at most, and how much of that is the sandbox's.
pub(super) fn bars(costs: &Costs) -> String {
    let height = ROW * costs.cases.len() as f64;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {BARS} {height}\" role=\"img\" aria-label=\"What is the sandbox's of each case, and what the handler's\">\n"
    );
    let times = costs.cases.iter().map(|cost| cost.time.p50());
    let longest = times.max().unwrap_or_default().as_secs_f64().max(1e-9);
    let wide = |time: Duration| time.as_secs_f64() / longest * (BAR.1 - BAR.0);
    for (row, cost) in costs.cases.iter().enumerate() {
        let top = ROW * row as f64;
        let sandbox = costs.sandbox_of(cost);
        let handler = cost.time.p50().saturating_sub(sandbox);
        let between = BAR.0 + wide(sandbox);
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <rect class=\"bar sandbox\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"14\"><title>sandbox {}</title></rect>\
             <rect class=\"bar handler\" x=\"{between:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"14\"><title>handler {}</title></rect>\
             <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            BAR.0 - 8.0,
            top + 15.0,
            escaped(&one_line(&cost.case, LONGEST_NAME)),
            BAR.0,
            top + 4.0,
            wide(sandbox),
            of_time(sandbox),
            top + 4.0,
            wide(handler),
            of_time(handler),
            between + wide(handler) + 8.0,
            top + 15.0,
            of_time(cost.time.p50())
        );
    }
    svg.push_str("</svg>");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(micros: &[u64]) -> Samples {
        micros.iter().copied().map(Duration::from_micros).collect()
    }

    #[test]
    fn every_time_has_its_place_on_an_axis_of_whole_decades() {
        let (short, long) = (of(&[12, 40]), of(&[900, 5000]));
        let axis = Axis::over([&short, &long].into_iter());

        let ticks: Vec<_> = axis.ticks().map(of_time).collect();
        assert_eq!(ticks, ["10 µs", "100 µs", "1 ms", "10 ms"]);
        let at = |micros| axis.place(Duration::from_micros(micros));
        assert_eq!((at(10), at(10_000), at(0)), (0.0, 1.0, 0.0));
        assert!(at(99) < at(101));
    }

    #[test]
    fn an_axis_over_nothing_or_over_one_time_is_one_still() {
        for samples in [of(&[]), of(&[100]), of(&[0])] {
            let axis = Axis::over([&samples].into_iter());
            assert!(axis.ticks().count() >= 2);
            assert!(axis.place(Duration::from_micros(100)).is_finite());
        }
    }
}

//! Numbers as Prometheus reads them: the OpenMetrics text format.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit as PrometheusUnit};

use super::{Family, FamilyKind, Unit, Value};

/// What the text is, for HTTP.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `families` as text.
pub fn prometheus_text(families: Vec<Family>) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Families(families)));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Families(Vec<Family>);

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        for family in &self.0 {
            let unit = match family.unit {
                Unit::None => None,
                Unit::Seconds => Some(PrometheusUnit::Seconds),
                Unit::Bytes => Some(PrometheusUnit::Bytes),
            };
            let kind = match family.kind {
                FamilyKind::Counter => MetricType::Counter,
                FamilyKind::Gauge => MetricType::Gauge,
                FamilyKind::Histogram => MetricType::Histogram,
            };
            // The encoder adds the unit to the name.
            let name = match family.unit {
                Unit::None => family.name,
                Unit::Seconds => family.name.trim_end_matches("_seconds"),
                Unit::Bytes => family.name.trim_end_matches("_bytes"),
            };
            let mut metric = encoder.encode_descriptor(name, family.help, unit.as_ref(), kind)?;
            for sample in &family.samples {
                if sample.labels.is_empty() {
                    // Not `name{}`, which some parsers refuse.
                    number(&mut metric, family.kind, &sample.value)?;
                } else {
                    let mut labelled = metric.encode_family(&sample.labels)?;
                    number(&mut labelled, family.kind, &sample.value)?;
                }
            }
        }
        Ok(())
    }
}

fn number(to: &mut MetricEncoder<'_>, kind: FamilyKind, value: &Value) -> Result<(), fmt::Error> {
    match (kind, value) {
        (FamilyKind::Counter, Value::Whole(count)) => {
            to.encode_counter::<NoLabelSet, _, u64>(count, None)
        }
        (FamilyKind::Counter, Value::Real(count)) => {
            to.encode_counter::<NoLabelSet, _, f64>(count, None)
        }
        (_, Value::Whole(value)) => to.encode_gauge(value),
        (_, Value::Real(value)) => to.encode_gauge(value),
        (_, Value::Histogram(histogram)) => {
            let buckets: Vec<_> = histogram
                .buckets()
                .map(|((_, end), count)| (end.unwrap_or(f64::INFINITY), count))
                .collect();
            to.encode_histogram::<NoLabelSet>(histogram.sum(), histogram.count(), &buckets, None)
        }
    }
}

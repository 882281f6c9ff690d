//! Numbers by OTLP (gRPC), for a collector of OpenTelemetry.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use super::Source;
use crate::metrics::{Family, FamilyKind, Sample, Unit, Value};

/// How often numbers are sent.
const INTERVAL: Duration = Duration::from_secs(15);
/// How long a collector may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Sends numbers to a collector.
pub struct Push {
    client: MetricsServiceClient<Channel>,
    resource: Resource,
    started: u64,
}

/// Not the address of a collector.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not the http:// address of a collector")]
pub struct BadEndpoint(String);

impl Push {
    /// To the collector at `endpoint`, such as `http://127.0.0.1:4317`. `role` is `node` or `relay`, `id` whose numbers they
    /// are. Connects when there is something to send.
    pub fn new(endpoint: &str, role: &str, id: &str) -> Result<Self, BadEndpoint> {
        let bad = || BadEndpoint(endpoint.to_owned());
        if !endpoint.starts_with("http://") {
            return Err(bad());
        }
        let endpoint = Endpoint::from_shared(endpoint.to_owned()).map_err(|_| bad())?;
        let channel = endpoint
            .timeout(LIMIT)
            .connect_timeout(LIMIT)
            .connect_lazy();
        let attributes = [
            ("service.name", "backchannel"),
            ("service.version", env!("CARGO_PKG_VERSION")),
            ("service.namespace", role),
            ("service.instance.id", id),
        ];
        Ok(Self {
            client: MetricsServiceClient::new(channel),
            resource: Resource {
                attributes: attributes.map(|(key, value)| pair(key, value)).into(),
                ..Resource::default()
            },
            started: now(),
        })
    }

    /// Sends the numbers of `source` every 15 s, and once more at `stop`. A collector that cannot be reached is named in the
    /// log once; as numbers are sums since the start, what it missed is in what comes next.
    pub async fn run(mut self, source: Source, stop: CancellationToken) {
        let mut failing = false;
        loop {
            let rested = stop.run_until_cancelled(tokio::time::sleep(INTERVAL)).await;
            match self.export(source()).await {
                Ok(()) if failing => {
                    tracing::info!("the collector takes metrics again");
                    failing = false;
                }
                Err(status) if !failing => {
                    tracing::warn!("metrics cannot be sent: {}", status.message());
                    failing = true;
                }
                _ => {}
            }
            if rested.is_none() {
                return;
            }
        }
    }

    async fn export(&mut self, families: Vec<Family>) -> Result<(), tonic::Status> {
        let span = (self.started, now());
        let metrics = families
            .into_iter()
            .filter(|family| !family.samples.is_empty());
        let request = ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(self.resource.clone()),
                scope_metrics: vec![ScopeMetrics {
                    scope: Some(InstrumentationScope {
                        name: "backchannel".into(),
                        version: env!("CARGO_PKG_VERSION").into(),
                        ..InstrumentationScope::default()
                    }),
                    metrics: metrics.map(|family| metric_of(family, span)).collect(),
                    ..ScopeMetrics::default()
                }],
                ..ResourceMetrics::default()
            }],
        };
        self.client.export(request).await.map(drop)
    }
}

fn metric_of(family: Family, span: (u64, u64)) -> Metric {
    let cumulative = AggregationTemporality::Cumulative.into();
    let numbers = || {
        family
            .samples
            .iter()
            .filter_map(|sample| number(sample, span))
            .collect()
    };
    let data = match family.kind {
        FamilyKind::Counter => metric::Data::Sum(Sum {
            data_points: numbers(),
            aggregation_temporality: cumulative,
            is_monotonic: true,
        }),
        FamilyKind::Gauge => metric::Data::Gauge(Gauge {
            data_points: numbers(),
        }),
        FamilyKind::Histogram => metric::Data::Histogram(Histogram {
            data_points: family
                .samples
                .iter()
                .filter_map(|sample| distribution(sample, span))
                .collect(),
            aggregation_temporality: cumulative,
        }),
    };
    Metric {
        // As the collector names them for Prometheus, so that both ways lead to the same name.
        name: family.name.into(),
        description: family.help.into(),
        unit: match family.unit {
            Unit::None => "1",
            Unit::Seconds => "s",
            Unit::Bytes => "By",
        }
        .into(),
        data: Some(data),
        ..Metric::default()
    }
}

fn number(sample: &Sample, (start, now): (u64, u64)) -> Option<NumberDataPoint> {
    let value = match &sample.value {
        Value::Whole(value) => {
            number_data_point::Value::AsInt(i64::try_from(*value).unwrap_or(i64::MAX))
        }
        Value::Real(value) => number_data_point::Value::AsDouble(*value),
        Value::Histogram(_) => return None,
    };
    Some(NumberDataPoint {
        attributes: attributes(sample),
        start_time_unix_nano: start,
        time_unix_nano: now,
        value: Some(value),
        ..NumberDataPoint::default()
    })
}

fn distribution(sample: &Sample, (start, now): (u64, u64)) -> Option<HistogramDataPoint> {
    let Value::Histogram(histogram) = &sample.value else {
        return None;
    };
    Some(HistogramDataPoint {
        attributes: attributes(sample),
        start_time_unix_nano: start,
        time_unix_nano: now,
        count: histogram.count(),
        sum: Some(histogram.sum()),
        bucket_counts: histogram.buckets().map(|(_, count)| count).collect(),
        explicit_bounds: histogram
            .buckets()
            .filter_map(|((_, end), _)| end)
            .collect(),
        ..HistogramDataPoint::default()
    })
}

fn attributes(sample: &Sample) -> Vec<KeyValue> {
    let labels = sample.labels.iter();
    labels.map(|(key, value)| pair(key, value)).collect()
}

fn pair(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue {
            value: Some(any_value::Value::StringValue(value.into())),
        }),
        ..KeyValue::default()
    }
}

/// Nanoseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
    use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
        MetricsService, MetricsServiceServer,
    };
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;
    use tokio_stream::wrappers::TcpListenerStream;
    use tonic::{Request, Response, Status};

    use super::*;
    use crate::metrics::{Ended, Metrics, Took};

    /// A collector that hands on what it is sent.
    struct Collector(mpsc::UnboundedSender<ExportMetricsServiceRequest>);

    #[tonic::async_trait]
    impl MetricsService for Collector {
        async fn export(
            &self,
            request: Request<ExportMetricsServiceRequest>,
        ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
            let _ = self.0.send(request.into_inner());
            Ok(Response::new(ExportMetricsServiceResponse::default()))
        }
    }

    #[tokio::test]
    async fn a_collector_receives_every_number_with_its_unit_and_whose_it_is() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("bound");
        let (sent, mut received) = mpsc::unbounded_channel();
        let server = tonic::transport::Server::builder()
            .add_service(MetricsServiceServer::new(Collector(sent)))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(server);
        let metrics = Metrics::default();
        let took = Took {
            wall: Duration::from_millis(3),
            ..Took::default()
        };
        metrics.call("key-request").end(Ended::Done, took);

        let push = Push::new(&format!("http://{address}"), "node", "a").expect("an address");
        let stop = CancellationToken::new();
        stop.cancel();
        push.run(Arc::new(move || metrics.families()), stop).await;

        let request = received.recv().await.expect("sent");
        let [of_resource] = &request.resource_metrics[..] else {
            panic!("{request:?}");
        };
        let whose = of_resource.resource.as_ref().expect("a resource");
        assert!(whose.attributes.contains(&pair("service.instance.id", "a")));
        let metrics = &of_resource.scope_metrics[0].metrics;
        let named = |name: &str| {
            let found = metrics.iter().find(|metric| metric.name == name);
            found.unwrap_or_else(|| panic!("{name} is not in {metrics:?}"))
        };
        let Some(metric::Data::Histogram(wall)) = &named("backchannel_plugin_call_seconds").data
        else {
            panic!("{metrics:?}");
        };
        let point = &wall.data_points[0];
        assert_eq!(point.attributes, [pair("plugin", "key-request")]);
        assert_eq!(
            (point.count, point.bucket_counts.len()),
            (1, point.explicit_bounds.len() + 1)
        );
        assert_eq!(point.bucket_counts[5], 1);
        let calls = named("backchannel_plugin_calls");
        assert!(matches!(&calls.data, Some(metric::Data::Sum(sum)) if sum.is_monotonic));
        assert_eq!(named("backchannel_plugin_memory_peak_bytes").unit, "By");
    }

    #[test]
    fn refuses_what_is_no_plain_address() {
        for endpoint in ["https://collector:4317", "collector:4317", "http://", ""] {
            assert!(Push::new(endpoint, "node", "a").is_err(), "{endpoint}");
        }
    }
}

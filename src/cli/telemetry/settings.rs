//! What the environment says of traces and metrics: the variables of OpenTelemetry's specification that its Rust SDK leaves to the
//! program. (The SDK itself reads those of headers, timeouts, compression, samplers, resources, batches and the interval.)

/// What is sent.
#[derive(Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(super) struct Settings {
    pub traces: bool,
    pub metrics: bool,
    /// Questions, prompts and answers, too.
    pub content: bool,
    /// A caller's trace is gone on with.
    pub parent: bool,
    /// What was asked for and cannot be had.
    pub problems: Vec<String>,
}

/// The signals that there are.
const SIGNALS: [&str; 2] = ["TRACES", "METRICS"];

impl Settings {
    /// As the variables say. An empty one is as none.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let variable = |name: &str| variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let is = |name: &str| variable(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let mut settings = Self::default();
        if is("OTEL_SDK_DISABLED") {
            return settings;
        }
        let [traces, metrics] = SIGNALS.map(|signal| sends(signal, variable, &mut settings.problems));
        (settings.traces, settings.metrics) = (traces, metrics);
        settings.content = is("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT");
        settings.parent = variable("OTEL_PROPAGATORS").is_none_or(|names| listed(&names).any(|name| name == "tracecontext"));
        settings
    }
}

/// Whether a signal is sent.
fn sends(signal: &str, variable: impl Fn(&str) -> Option<String>, problems: &mut Vec<String>) -> bool {
    let either = |name: &str| {
        let own = format!("OTEL_EXPORTER_OTLP_{signal}_{name}");
        let all = format!("OTEL_EXPORTER_OTLP_{name}");
        variable(&own).map(|value| (own, value)).or_else(|| variable(&all).map(|value| (all, value)))
    };
    let endpoint = either("ENDPOINT");
    let exporter = format!("OTEL_{signal}_EXPORTER");
    match variable(&exporter) {
        Some(names) if listed(&names).any(|name| name == "otlp") => {}
        Some(names) if listed(&names).all(|name| name == "none") => return false,
        Some(names) => {
            problems.push(format!("{exporter}={names} is not known here: it is `otlp` or `none`"));
            return false;
        }
        None if endpoint.is_none() => return false,
        None => {}
    }
    if let Some((name, value)) = &endpoint
        && !(value.starts_with("http://") || value.starts_with("https://"))
    {
        problems.push(format!("{name} is no address of a collector: it begins with http:// or https://"));
        return false;
    }
    for unread in ["CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"] {
        if let Some((name, _)) = either(unread) {
            problems.push(format!("{name} is not read here: the system's certificates count, or those of SSL_CERT_FILE"));
        }
    }
    match either("PROTOCOL") {
        Some((name, protocol)) if protocol != "http/protobuf" => {
            problems.push(format!("{name}={protocol} is not spoken here: a collector takes `http/protobuf` on port 4318"));
            false
        }
        _ => true,
    }
}

fn listed(names: &str) -> impl Iterator<Item = &str> {
    names.split(',').map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Settings {
        Settings::of(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn nothing_is_sent_unless_it_is_said_where_to() {
        assert_eq!(of(&[]), Settings { parent: true, ..Settings::default() });
        assert_eq!(of(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "  ")]), Settings { parent: true, ..Settings::default() });
        let both = of(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318")]);
        assert!(both.traces && both.metrics && !both.content && both.problems.is_empty());
        let one = of(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://c/v1/traces")]);
        assert!(one.traces && !one.metrics);
        let default = of(&[("OTEL_METRICS_EXPORTER", "otlp")]);
        assert!(!default.traces && default.metrics, "the specification has an address for it");
    }

    #[test]
    fn what_is_switched_off_stays_off() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");
        assert_eq!(of(&[endpoint, ("OTEL_SDK_DISABLED", "TRUE")]), Settings::default());
        let metrics = of(&[endpoint, ("OTEL_TRACES_EXPORTER", "none"), ("OTEL_PROPAGATORS", "none")]);
        assert!(!metrics.traces && metrics.metrics && !metrics.parent && metrics.problems.is_empty());
        assert!(of(&[endpoint, ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true")]).content);
        assert!(!of(&[endpoint, ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "false")]).content);
        assert!(of(&[endpoint, ("OTEL_PROPAGATORS", "baggage, tracecontext")]).parent);
    }

    #[test]
    fn what_cannot_be_had_is_said_and_no_secret_with_it() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");
        for (more, traces, metrics) in [
            (("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), false, false),
            (("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"), false, true),
            (("OTEL_TRACES_EXPORTER", "console"), false, true),
            (("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "user:secret@collector"), true, false),
            (("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "ca.pem"), true, true),
        ] {
            let settings = of(&[endpoint, more]);
            assert_eq!((settings.traces, settings.metrics), (traces, metrics), "{more:?}");
            assert!(settings.problems.iter().all(|problem| problem.contains(more.0) && !problem.contains("secret")));
            let expected = (usize::from(!traces) + usize::from(!metrics)).max(1);
            assert_eq!(settings.problems.len(), expected, "{:?}", settings.problems);
        }
    }
}

/** What is told to the outside: metrics, traces, and what the log says of slow statements. */

/** How the server can be seen from outside. */
export interface TelemetrySettings {
  /** Whether figures are counted and told at `/metrics`; default true. */
  readonly metrics: boolean;
  /** Where metrics and traces are sent to, beside that; undefined: nowhere. */
  readonly otlp: OtlpSettings | undefined;
  /** `service.name` of metrics and traces; default `stowage`. */
  readonly serviceName: string;
  /**
   * The share of traces that begin here and are recorded, 0 to 1; those that a caller records are
   * recorded in any case. Undefined: no call is traced.
   */
  readonly traceRatio: number | undefined;
  /** Statements that take longer are logged; 0: none is. Default 1000. */
  readonly slowStatementMs: number;
  /** Whether the log has the parameters of a slow statement, which are callers' data. */
  readonly slowStatementParameters: boolean;
}

/** A collector that takes OTLP over HTTP. */
export interface OtlpSettings {
  /** Its base; `v1/metrics` and `v1/traces` are appended. */
  readonly endpoint: string;
  /** Sent with each request. Never logged. */
  readonly headers: Readonly<Record<string, string>>;
  /** How often metrics are sent; default 60000. */
  readonly intervalMs: number;
}

/** What of the environment these settings are made of; a value is undefined beside a problem. */
interface TelemetryValues {
  readonly STOWAGE_METRICS: boolean | undefined;
  readonly STOWAGE_TRACE_RATIO: number | undefined;
  readonly OTEL_EXPORTER_OTLP_ENDPOINT: string | undefined;
  readonly OTEL_EXPORTER_OTLP_HEADERS: Readonly<Record<string, string>> | undefined;
  readonly OTEL_METRIC_EXPORT_INTERVAL: number | undefined;
  readonly OTEL_SERVICE_NAME: string | undefined;
  readonly STOWAGE_SLOW_STATEMENT_MS: number | undefined;
  readonly STOWAGE_SLOW_STATEMENT_PARAMETERS: boolean | undefined;
}

/** Puts the values together; what is wrong is appended to `problems`. */
export function telemetrySettings(values: TelemetryValues, problems: string[]): TelemetrySettings {
  const endpoint = values.OTEL_EXPORTER_OTLP_ENDPOINT;
  if (values.STOWAGE_TRACE_RATIO !== undefined && endpoint === undefined) {
    problems.push('STOWAGE_TRACE_RATIO: needs OTEL_EXPORTER_OTLP_ENDPOINT, where traces go');
  }
  const { OTEL_EXPORTER_OTLP_HEADERS: headers = {} } = values;
  const { OTEL_METRIC_EXPORT_INTERVAL: intervalMs = 0 } = values;
  return {
    metrics: values.STOWAGE_METRICS ?? false,
    otlp: endpoint === undefined ? undefined : { endpoint, headers, intervalMs },
    serviceName: values.OTEL_SERVICE_NAME ?? '',
    traceRatio: values.STOWAGE_TRACE_RATIO,
    slowStatementMs: values.STOWAGE_SLOW_STATEMENT_MS ?? 0,
    slowStatementParameters: values.STOWAGE_SLOW_STATEMENT_PARAMETERS ?? false,
  };
}

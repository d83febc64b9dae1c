/** What is kept of what happened, and how. */

/** What the service writes down by itself, and how long that can be added to. */
export interface KeepingSettings {
  /** How long answers are kept for repeats of a request id; default 24. */
  readonly requestLogHours: number;
  /** Whether every write appends an audit event of its own, in its commit; default true. */
  readonly auditMutations: boolean;
  /** Whether events for months that are sealed are taken; default false. */
  readonly auditLateEvents: boolean;
  /** Days after the end of a month until it is sealed; default 35. */
  readonly auditSealDays: number;
  /** 32 bytes that encrypt the secrets of hooks; undefined: no hook has one. Never logged. */
  readonly secretsKey: Uint8Array | undefined;
}

/** What of the environment these settings are made of; a value is undefined beside a problem. */
interface KeepingValues {
  readonly STOWAGE_REQUEST_LOG_HOURS: number | undefined;
  readonly STOWAGE_AUDIT_MUTATIONS: boolean | undefined;
  readonly STOWAGE_AUDIT_LATE_EVENTS: boolean | undefined;
  readonly STOWAGE_AUDIT_SEAL_DAYS: number | undefined;
  readonly STOWAGE_SECRETS_KEY: Uint8Array | undefined;
}

/** Puts the values together. */
export function keepingSettings(values: KeepingValues): KeepingSettings {
  return {
    requestLogHours: values.STOWAGE_REQUEST_LOG_HOURS ?? 0,
    auditMutations: values.STOWAGE_AUDIT_MUTATIONS ?? true,
    auditLateEvents: values.STOWAGE_AUDIT_LATE_EVENTS ?? false,
    auditSealDays: values.STOWAGE_AUDIT_SEAL_DAYS ?? 0,
    secretsKey: values.STOWAGE_SECRETS_KEY,
  };
}

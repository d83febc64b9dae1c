/** What is kept where a test says nothing else. */
import type { KeepingSettings } from '../../src/config-keeping.js';

export const keeping: KeepingSettings = {
  requestLogHours: 24,
  auditMutations: true,
  auditLateEvents: false,
  auditSealDays: 35,
  secretsKey: undefined,
};

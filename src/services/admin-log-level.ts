/** AdminService's RPCs of the log. */

import { LogLevel } from '../../gen/stowage/v1/admin_service_pb.js';
import type { AdminStore, LogLevelName } from '../store/store.js';
import type { CallContext } from './handler.js';

const levels: Readonly<Record<LogLevelName, LogLevel>> = {
  trace: LogLevel.TRACE,
  debug: LogLevel.DEBUG,
  info: LogLevel.INFO,
  warn: LogLevel.WARN,
  error: LogLevel.ERROR,
  fatal: LogLevel.FATAL,
  silent: LogLevel.SILENT,
};

const names = new Map(
  Object.entries(levels).map(([name, level]) => [level, name as LogLevelName] as const),
);

/** The handlers over the answering server's log. */
export function logLevelHandlers({ logLevel }: Pick<AdminStore, 'logLevel'>) {
  return {
    getLogLevel: () => ({ level: levels[logLevel.get()] }),
    setLogLevel: ({ level }: { readonly level: LogLevel }, context: CallContext) => {
      const formerLevel = levels[logLevel.get()];
      // Validation has refused every other number.
      logLevel.set(names.get(level) ?? 'info', context);
      return { formerLevel };
    },
  };
}

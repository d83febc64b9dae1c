/**
 * Reads the environment as far as it can be read, for `stowage doctor`: mistakes that do not
 * concern the database do not keep it from being looked at.
 */

import { type Config, ConfigError, parseConfig } from './config.js';
import { type SettingFiles, systemFiles } from './config-password.js';

/** What the environment says, and what is wrong with it. */
export interface InspectedConfig {
  /** Undefined where the database's own settings are wrong. */
  readonly config: Config | undefined;
  /** Each begins with the setting's name; none repeats a secret. */
  readonly problems: readonly string[];
}

/** To guess these would be to look at another database, or as somebody else. */
const databaseKeys: ReadonlySet<string> = new Set([
  'DATABASE_URL',
  'POSTGRES_HOST',
  'STOWAGE_NODES_FILE',
  'POSTGRES_PORT',
  'POSTGRES_DB',
  'POSTGRES_USER',
  'POSTGRES_PASSWORD',
  'POSTGRES_PASSWORD_FILE',
  'PGPASSFILE',
]);

/** A setting that is left out may make another one wrong, as a token does an open address. */
const passesMax = 4;

/** Reads an environment, by default the process's, with the defaults for what is wrong in it. */
export function inspectConfig(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  files: SettingFiles = systemFiles,
): InspectedConfig {
  let problems: readonly string[] | undefined;
  let remaining = environment;
  for (let pass = 1; ; pass += 1) {
    try {
      return { config: parseConfig(remaining, files), problems: problems ?? [] };
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      problems ??= error.problems;
      const wrong = new Set(error.problems.map((problem) => problem.split(':', 1)[0] ?? ''));
      if (pass === passesMax || [...wrong].some((key) => databaseKeys.has(key))) {
        return { config: undefined, problems };
      }
      const entries = Object.entries(remaining).filter(([key]) => !wrong.has(key));
      remaining = Object.fromEntries(entries);
    }
  }
}

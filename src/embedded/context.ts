/** What every part of one running cluster needs to know, fixed when it starts. */
import type { Account } from './account.js';
import type { Binaries } from './binaries.js';

/** The fixed facts of one cluster. */
export interface ClusterContext {
  /** Absolute path of the cluster's data folder; a node's data lies below it, by its name. */
  readonly folder: string;
  readonly binaries: Binaries;
  /** Account that PostgreSQL runs as; undefined for that of this process. */
  readonly account: Account | undefined;
  readonly password: string;
  /** File in libpq's format that holds the password, mode 0600. */
  readonly passFile: string;
  /** Database that the cluster makes. */
  readonly database: string;
  readonly fsync: boolean;
  /** Settings for every node that override the cluster's own. */
  readonly settings: Readonly<Record<string, string>>;
  readonly onProgress: (step: string) => void;
}

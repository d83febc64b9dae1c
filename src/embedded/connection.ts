/**
 * Short connections for the cluster's own verbs. This room talks to `pg` itself, not through the
 * product's pools: it must reach servers that the product holds for dead, and be usable without
 * the rest of the product.
 */
import pg from 'pg';

const CONNECT_TIMEOUT_MS = 5_000;
const QUERY_TIMEOUT_MS = 60_000;

/** Runs one statement on the connection that `withConnection` opened. */
export type RunSql = <Row extends pg.QueryResultRow>(
  text: string,
  parameters?: readonly unknown[],
) => Promise<Row[]>;

/** Opens a connection, hands it to `use`, and closes it whatever happens. */
export async function withConnection<T>(url: string, use: (sql: RunSql) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: QUERY_TIMEOUT_MS,
    application_name: 'stowage embedded',
  });
  // A server that dies between two statements is reported by the next one; without a listener the
  // event would end the process.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await use(
      async <Row extends pg.QueryResultRow>(text: string, parameters: readonly unknown[] = []) =>
        (await client.query<Row>(text, [...parameters])).rows,
    );
  } finally {
    await client.end();
  }
}

/** What is used of pg-cursor, which brings no types. */
declare module 'pg-cursor' {
  import type { Submittable } from 'pg';

  class Cursor<Row> implements Submittable {
    constructor(text: string, values?: readonly unknown[]);
    submit(connection: unknown): void;
    read(count: number): Promise<Row[]>;
    close(): Promise<void>;
  }

  export = Cursor;
}

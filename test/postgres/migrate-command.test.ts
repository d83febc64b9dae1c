import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { migrateCommand } from '../../src/cli/migrate.js';
import { readMigrationNames } from '../../src/postgres/migration-files.js';
import { sharedCluster } from '../support/cluster.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

const program = await readMigrationNames();

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase(sharedCluster().nodes[0]?.url ?? '', { migrate: false });
});

afterAll(() => database.drop());

async function run(...words: string[]): Promise<{ lines: string[]; exitCode: number }> {
  const lines: string[] = [];
  let exitCode = 0;
  const command = migrateCommand({
    database: () => database.url,
    print: (line) => lines.push(line),
    setExitCode: (code) => {
      exitCode = code;
    },
  });
  for (const each of [command, ...command.commands]) {
    each.exitOverride().configureOutput({ writeErr: (line) => lines.push(line) });
  }
  await command.parseAsync(words, { from: 'user' });
  return { lines, exitCode };
}

describe('stowage migrate', () => {
  it('shows, does, undoes and shows again', async () => {
    const empty = await run('status');
    expect(empty.exitCode).toBe(3);
    expect(empty.lines[0]).toMatch(/^migration +state +applied at$/);
    expect(empty.lines[1]).toMatch(/^0001_create-roles +pending$/);
    expect(empty.lines).toHaveLength(program.length + 1);

    const dry = await run('up', '--dry-run');
    expect(dry.lines).toContain(`-- ${program[0]} up`);
    expect(dry.lines.at(-1)).toBe(`-- ${program.length} migrations would be applied`);
    expect((await run('status')).lines).toEqual(empty.lines);

    const first = await run('up', '--to', '0001');
    expect(first.lines).toEqual(['0001_create-roles up', '1 migration applied']);
    const rest = await run('up');
    expect(rest.lines.at(-1)).toBe(`${program.length - 1} migrations applied`);
    expect((await run('up')).lines).toEqual(['nothing to do']);

    const full = await run('status');
    expect(full.exitCode).toBe(0);
    expect(full.lines[1]).toMatch(/^0001_create-roles +applied +\d{4}-\d\d-\d\dT.*Z$/);

    const down = await run('down', '2');
    expect(down.lines.at(-1)).toBe('2 migrations taken back');
    expect((await run('status')).exitCode).toBe(3);
  });

  it('refuses a count that is none', async () => {
    await expect(run('down', '0')).rejects.toMatchObject({ code: 'commander.invalidArgument' });
  });
});

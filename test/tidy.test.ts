// The house style as a test. Each rule is a pure function over files; here it judges the checkout,
// and beside that a planted violation, so that no rule passes because it sees nothing.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { oneTitle, relativeLinks } from './support/tidy/markdown.js';
import {
  environmentInConfig,
  importArrow,
  libraryAtHome,
  reachable,
} from './support/tidy/rooms.js';
import {
  documentedExports,
  fileHeader,
  fileLength,
  functionLength,
  lineLength,
  medianLength,
} from './support/tidy/sizes.js';
import type { Violation } from './support/tidy/source.js';
import { type FileRule, readCheckout, type SourceText } from './support/tidy/source.js';
import { noneLeftOut, noSleeps, uniqueNames } from './support/tidy/tests.js';
import {
  citedDocuments,
  decidedDependencies,
  noMachinePaths,
  noNotes,
} from './support/tidy/words.js';

const root = join(import.meta.dirname, '..');
const checkout = readCheckout(root);

type Rule = (files: readonly SourceText[]) => Violation[];

/** A planted file as `[path, text]`, or several of them. */
type Planted = Readonly<Record<string, string>>;

interface Case {
  readonly name: string;
  readonly rule: Rule;
  /** Each breaks the rule, in its first file. */
  readonly bad: readonly Planted[];
  /** Each is near the rule and keeps it. */
  readonly good: readonly Planted[];
}

const each =
  (rule: FileRule): Rule =>
  (files) =>
    files.flatMap(rule);
const existsInCheckout = (path: string) => existsSync(join(root, path));
const lines = (count: number, line = '\n') => line.repeat(count);

const cases: readonly Case[] = [
  {
    name: 'imports point to the left',
    rule: each(importArrow),
    bad: [
      { 'src/store/objects.ts': "import { handle } from '../services/storage.js';" },
      { 'src/lib/clock.ts': "export type { Config } from '../config.js';" },
      { 'src/postgres/pool.ts': "const log = await import('../telemetry/log.js');" },
      { 'src/embedded/cluster.ts': "type Row = import('../errors.js').Row;" },
      { 'src/client/index.ts': "import { Router } from '../postgres/router.js';" },
      { 'src/utils/misc.ts': 'export {};' },
    ],
    good: [
      { 'src/cli/dev.ts': "import { start } from '../embedded/cluster.js';" },
      { 'src/server/grpc.ts': "import '../telemetry/log.js'; import '../services/storage.js';" },
      { 'src/errors.ts': "import { Code } from '../gen/google/rpc/code_pb.js';" },
      { 'src/config.ts': "import { rows } from './config-table.js';" },
      { 'test/unit/router.test.ts': "import { Router } from '../../src/postgres/router.js';" },
    ],
  },
  {
    name: 'a library is imported in its own room only',
    rule: each(libraryAtHome),
    bad: [
      { 'src/store/objects.ts': "import pg from 'pg';" },
      { 'src/feed/reader.ts': "import Cursor from 'pg-cursor';" },
      { 'src/services/storage.ts': "import { ConnectError } from '@connectrpc/connect';" },
      { 'src/server/grpc.ts': "import { Code } from '@connectrpc/connect';" },
      { 'src/server/pipeline.ts': "import { status } from '@grpc/grpc-js';" },
      { 'src/services/storage.ts': "import { z } from 'zod';" },
      { 'src/postgres/router.ts': "import { pino } from 'pino';" },
      { 'src/server/shutdown.ts': "import { Command } from 'commander';" },
    ],
    good: [
      { 'src/postgres/pool.ts': "import pg from 'pg';" },
      { 'src/server/grpc-server.ts': "import { Server } from '@grpc/grpc-js';" },
      { 'src/client/transport.ts': "import '@connectrpc/connect'; import '@grpc/grpc-js';" },
      { 'test/support/database.ts': "import pg from 'pg';" },
    ],
  },
  {
    name: 'the environment is read in config.ts only',
    rule: each(environmentInConfig),
    bad: [
      { 'src/postgres/pool.ts': 'const max = process.env.POSTGRES_MAX_CONN;' },
      { 'src/lib/clock.ts': "import { env } from 'node:process';" },
    ],
    good: [
      { 'src/config.ts': 'export const environment = process.env;' },
      { 'src/lib/clock.ts': '// Not process.env, and not\nconst text = "process.env";' },
    ],
  },
  {
    name: 'every file of src is reached',
    rule: reachable,
    bad: [{ 'src/lib/lost.ts': '', 'src/main.ts': "import './cli/dev.js';", 'src/cli/dev.ts': '' }],
    good: [
      {
        'src/main.ts': "await import('./cli/dev.js');",
        'src/cli/dev.ts': "new URL('../embedded/guardian.js', import.meta.url);",
        'src/embedded/guardian.ts': '',
      },
    ],
  },
  {
    name: 'a file of code has at most 400 lines',
    rule: each(fileLength),
    bad: [
      { 'src/lib/long.ts': lines(401, 'x;\n') },
      { 'proto/stowage/v1/a.proto': lines(401, ';\n') },
    ],
    good: [{ 'src/lib/long.ts': lines(400, 'x;\n') }, { 'docs/long.md': lines(900, 'word\n') }],
  },
  {
    name: 'half of the files of src have at most 100 lines',
    rule: medianLength,
    bad: [{ src: '', 'src/a.ts': lines(101, 'x;\n'), 'src/b.ts': lines(150, 'x;\n') }],
    good: [{ 'src/a.ts': lines(100, 'x;\n'), 'src/b.ts': 'x;', 'test/a.ts': lines(300, 'x;\n') }],
  },
  {
    name: 'a function has at most 60 lines',
    rule: each(functionLength),
    bad: [
      { 'src/lib/a.ts': `function f() {${lines(60)}}` },
      { 'src/lib/b.ts': `class C { m() {${lines(60)}} }` },
      { 'test/unit/a.test.ts': `it('is long', () => {${lines(60)}});` },
    ],
    good: [
      { 'src/lib/a.ts': `/** Doc.${lines(60)}*/\nfunction f() {${lines(59)}}` },
      { 'test/unit/a.test.ts': `describe('all', () => {${lines(90)}});` },
    ],
  },
  {
    name: 'a line has at most 100 columns',
    rule: each(lineLength),
    bad: [{ 'src/lib/a.ts': 'x'.repeat(101) }, { 'docs/a.md': 'x'.repeat(101) }],
    good: [
      { 'src/lib/a.ts': 'ü'.repeat(100) },
      { 'docs/a.md': `| ${'x'.repeat(101)} |\nhttps://example.org/${'x'.repeat(101)}` },
    ],
  },
  {
    name: 'a file of src begins with what it holds',
    rule: each(fileHeader),
    bad: [{ 'src/lib/a.ts': "import './b.js';" }, { 'src/main.ts': '#!/usr/bin/env node\nrun();' }],
    good: [{ 'src/lib/a.ts': '// Holds b.\n' }, { 'src/main.ts': '#!/usr/bin/env node\n// Runs.' }],
  },
  {
    name: 'an export of the core is documented',
    rule: each(documentedExports),
    bad: [
      { 'src/postgres/a.ts': '// Header.\n\nexport const a = 1;' },
      { 'src/errors.ts': '// Header.\nexport interface Row {}' },
    ],
    good: [
      {
        'src/wire/a.ts': '/** Doc. */\nexport const a = 1;\nconst b = 2;\nexport * from "./b.js";',
      },
      { 'src/server/a.ts': 'export const a = 1;' },
    ],
  },
  {
    name: 'nothing is left as a note',
    rule: each(noNotes),
    bad: [{ 'src/lib/a.ts': `// ${'TO'}DO: later` }, { 'docs/a.md': `${'FIX'}ME` }],
    good: [{ 'src/lib/a.ts': '// A todo list is a list.' }],
  },
  {
    name: 'no path of one machine is written down',
    rule: each(noMachinePaths),
    bad: [
      { 'docs/a.md': `see ${'/ro'}ot/notes` },
      { 'src/lib/a.ts': `const path = '${'/ho'}me/ada/x';` },
      { 'scripts/a.ts': `cd ${'/wo'}rk` },
    ],
    good: [{ 'src/lib/a.ts': "const path = './root/a'; // GET /v1/work/items, src/work/a" }],
  },
  {
    name: 'a document that is cited is here',
    rule: citedDocuments,
    bad: [
      { 'src/lib/a.ts': `// See ${'MISS'}ING.md.` },
      { 'docs/a.md': `See ${'PLAN'} section 4.` },
    ],
    good: [{ 'docs/a.md': 'See README.md, section 4.', 'README.md': '# Guide' }],
  },
  {
    name: 'a dependency has a page that says why',
    rule: decidedDependencies,
    bad: [{ 'package.json': '{ "dependencies": { "left-pad": "1.0.0" } }' }],
    good: [
      {
        'package.json':
          '{ "dependencies": { "pg": "8" }, "optionalDependencies": { "@a/b": "1" } }',
        'docs/decisions/0001-x.md': 'Packages: `pg` 8, `@a/*` 1',
      },
    ],
  },
  {
    name: 'a test awaits no clock',
    rule: each(noSleeps),
    bad: [
      { 'test/unit/a.test.ts': 'await new Promise((done) => setTimeout(done, 10));' },
      { 'test/unit/b.test.ts': "import { setTimeout as wait } from 'node:timers/promises';" },
      { 'test/unit/chaos.test.ts': 'setTimeout(done, 10);' },
    ],
    good: [
      { 'test/support/wait.ts': 'setTimeout(done, 10);' },
      { 'test/chaos/faults.ts': 'setTimeout(done, 10);' },
      { 'test/unit/a.test.ts': "const text = 'setTimeout(done)'; run({ setTimeout: fake });" },
    ],
  },
  {
    name: 'no test is left out',
    rule: each(noneLeftOut),
    bad: [
      { 'test/unit/a.test.ts': "it.only('a', run);" },
      { 'test/unit/b.test.ts': "describe.skip('a', run);" },
      { 'test/unit/c.test.ts': "test.todo('a');" },
      { 'test/unit/d.test.ts': "it.each([1]).skip('a', run);" },
    ],
    good: [{ 'test/unit/a.test.ts': "cursor.skip(2); it('takes .only as a name', run);" }],
  },
  {
    name: 'the tests of a file have different names',
    rule: each(uniqueNames),
    bad: [{ 'test/unit/a.test.ts': "it('a', run); it.each(rows)('a', run);" }],
    good: [
      {
        'test/unit/a.test.ts':
          "describe('x', () => { it('a', run); }); describe('y', () => { it('a', run); });",
      },
    ],
  },
  {
    name: 'a page has one title, on its first line',
    rule: each(oneTitle),
    bad: [{ 'docs/a.md': '# A\n\n# B' }, { 'docs/b.md': 'text' }, { 'docs/c.md': '\n# Late' }],
    good: [{ 'docs/a.md': '# A\n\n```sh\n# a comment\n```\n## B' }],
  },
  {
    name: 'a relative link leads somewhere',
    rule: (files) => {
      const paths = new Set(files.map(({ path }) => path));
      return relativeLinks(files, (path) => paths.has(path) || existsInCheckout(path));
    },
    bad: [
      { 'docs/a.md': '[b](b-that-is-not-here.md)' },
      { 'docs/a.md': '[b](b.md#lost)', 'docs/b.md': '# B' },
      { 'docs/a.md': '[out](../../elsewhere/a.md)' },
    ],
    good: [
      { 'docs/a.md': '# A\n[b](b.md#what-it-is) [a](#a)', 'docs/b.md': '## What it is?' },
      { 'docs/a.md': '[x](https://example.org) `[c](c)`\n```\n[d](d.md)\n```' },
    ],
  },
];

const textsOf = (planted: Planted): SourceText[] =>
  Object.entries(planted).map(([path, text]) => ({ path, text }));
const print = ({ path, line, message }: Violation) => `${path}:${line} ${message}`;

for (const { name, rule, bad, good } of cases) {
  describe(name, () => {
    it('in this checkout', () => {
      expect(rule(checkout).map(print)).toEqual([]);
    });

    it('and a planted violation is found', () => {
      for (const planted of bad) {
        const files = textsOf(planted);
        const paths = new Set(rule(files).map(({ path }) => path));
        expect(paths, JSON.stringify(planted)).toEqual(new Set([files[0]?.path]));
      }
    });

    it('and what is near it passes', () => {
      for (const planted of good) expect(rule(textsOf(planted)).map(print)).toEqual([]);
    });
  });
}

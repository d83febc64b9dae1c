// The frames of `stowage topology`: what stays in sight on terminals with few columns and few rows.
import { EventEmitter } from 'node:events';
import { create } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { describe, expect, it } from 'vitest';
import { NodeTransitionSchema } from '../../gen/stowage/v1/cluster_pb.js';
import { displayWidth } from '../../src/cli/display-width.js';
import { type Picture, pictureLines } from '../../src/cli/topology/picture.js';
import { Screen, type Terminal } from '../../src/cli/topology/screen.js';
import { NodeState, TopologySchema } from '../../src/client/index.js';
import type { NodeSnapshot } from '../../src/postgres/router-handle.js';
import { topologyMessage } from '../../src/services/topology-messages.js';
import { snapshotOf, topologyOf } from '../support/topology-snapshots.js';

const known = { primary: 'db1:5432', timeline: 2, epoch: 3, hasPrimary: true, canRead: true };

const nodes = [
  snapshotOf('db1:5432', {
    ...{ state: 'primary', timeline: 2, lsn: 0x1_0000_00ffn, lagMs: 0, lagBytes: 0n },
  }),
  snapshotOf('db2:5432', {
    ...{ state: 'standby', timeline: 2, lsn: 0x1_0000_0000n, lagMs: 12.1, lagBytes: 1536n },
    ...{ isDoubted: true, isDrained: true },
  }),
  snapshotOf('db3:5432', { state: 'fenced', fence: 'former_primary', timeline: 1 }),
];

const messageOf = (members: readonly NodeSnapshot[], primary = 'db1:5432') =>
  create(TopologySchema, topologyMessage(topologyOf({ ...known, primary, nodes: [...members] })));

const transitionOf = (node: string, detail = '') =>
  create(NodeTransitionSchema, {
    ...{ node, detail, time: { seconds: 1_709_719_244n, nanos: 458_000_000 } },
    ...{ fromState: NodeState.PRIMARY, toState: NodeState.UNREACHABLE },
  });

const transitions = Array.from({ length: 10 }, (_, index) => transitionOf(`n${index}`));
const note = '127.0.0.1:50051 does not answer: ECONNREFUSED; trying again';
const whole: Picture = { topology: messageOf(nodes), oldSince: undefined, transitions, note: '' };

const draw = (columns: number, rows: number, picture: Partial<Picture> = {}, hasColours = false) =>
  pictureLines({ ...whole, ...picture }, { columns, rows, hasColours });

const longName = `${'a'.repeat(35)}${'z'.repeat(35)}`;

describe('a frame with few rows', () => {
  it('has all transitions where there is room, and below them what hinders', () => {
    const shown = draw(200, 100, { note });
    expect(shown.filter((line) => line.includes('->'))).toHaveLength(10);
    expect(shown.slice(-2)).toEqual(['', note]);
    expect(shown.slice(0, 2)).toEqual([expect.stringMatching(/^primary db1/), '']);
  });

  it('loses the oldest transitions first, and never what hinders', () => {
    const shown = draw(80, 12, { note });
    expect(shown).toHaveLength(11);
    expect(shown.at(-1)).toBe(note);
    const named = shown.filter((line) => line.includes('->')).map((line) => line.split('  ')[1]);
    expect(named).toEqual(['n4', 'n5', 'n6', 'n7', 'n8', 'n9'].slice(-named.length));
    expect(named.length).toBeGreaterThanOrEqual(3);
    expect(shown.join('\n')).toMatch(/db3:5432 +fenced/);
  });

  it('is never higher than the terminal, and says how many nodes are out of sight', () => {
    for (let rows = 1; rows <= 30; rows += 1) {
      const shown = draw(60, rows, { note });
      expect(shown.length).toBeLessThanOrEqual(Math.max(1, rows - 1));
      expect(shown.at(-1)).toContain('trying again');
    }
    const many = Array.from({ length: 20 }, (_, index) => snapshotOf(`db${index}:5432`));
    const shown = draw(60, 12, { topology: messageOf(many) });
    expect(shown).toHaveLength(11);
    expect(shown.at(-1)).toContain('n9  primary -> unreachable');
    expect(shown.at(-2)).toBe('… 13 more nodes');
  });

  it('breaks what hinders between words, and keeps its end', () => {
    const nothing = {
      topology: undefined,
      transitions: [],
      note: `${'very '.repeat(90)}trying again`,
    };
    const shown = draw(40, 12, nothing);
    expect(shown).toHaveLength(3);
    expect(shown.at(-1)).toMatch(/ trying again$/);
    expect(draw(10, 12, { ...nothing, note: 'it does not answer' })).toEqual([
      'it does',
      'not answer',
    ]);
  });
});

describe('a frame with few columns', () => {
  it('has at 60 what the cluster can do, each state, and how far each node is behind', () => {
    const shown = draw(60, 24, { transitions: [] });
    expect(shown.join('\n')).toMatch(/readable\s+writable\n/);
    expect(shown.join('\n')).toContain('standby (drained, doubted)');
    const [title] = shown.filter((line) => line.startsWith('NODE'));
    expect(title).toMatch(/^NODE +STATE +LAG +BEHIND$|^NODE +STATE +TIMELINE +LAG +BEHIND$/);
  });

  it('leaves out the streams, then the calls, then the positions', () => {
    const titles = [86, 80, 70, 62, 30].map((columns) => {
      const title = draw(columns, 24).find((line) => line.startsWith('NODE')) ?? '';
      return title.trim().split(/ +/).slice(2).join(' ');
    });
    expect(titles).toEqual([
      'TIMELINE LSN LAG BEHIND CALLS STREAMS',
      'TIMELINE LSN LAG BEHIND CALLS',
      'TIMELINE LSN LAG BEHIND',
      'TIMELINE LAG BEHIND',
      '',
    ]);
  });

  it('shortens a long name in its middle, so that every state is in sight', () => {
    const topology = messageOf(
      [...nodes, snapshotOf(longName, { state: 'unreachable' })],
      longName,
    );
    const long = [transitionOf(longName, 'connection refused')];
    for (const columns of [40, 60, 80]) {
      const shown = draw(columns, 24, { topology, transitions: long });
      const text = shown.join('\n');
      expect(text).toMatch(/^a+…z+ +unreachable/m);
      expect(text).toMatch(/fenced \(former primary\)/);
      expect(text).toMatch(/^primary a+…?z+$/m);
      expect(text).toMatch(/a+…z+ {2}primary -> unreachable/);
      expect(text).toMatch(/ writable|^writable/m);
    }
  });

  it('keeps where a transition goes, and cuts its detail', () => {
    const detail = 'report at db1:5432, which is a long story';
    const [last] = draw(60, 24, { transitions: [transitionOf('db1:5432', detail)] }).slice(-1);
    expect(last).toBe('10:00:44.458  db1:5432  primary -> unreachable  report at d…');
    const [tiny] = draw(32, 24, { transitions: [transitionOf('db1:5432', detail)] }).slice(-1);
    expect(tiny).toBe('db1:5432  primary -> unreachable');
  });

  it('is never wider than the terminal', () => {
    const odd = [...nodes, snapshotOf(`日本\u001b[2J\\${longName}`, { state: 'standby' })];
    for (let columns = 1; columns <= 120; columns += 1) {
      const shown = draw(columns, 24, { topology: messageOf(odd, longName), note });
      expect(Math.max(...shown.map(displayWidth))).toBeLessThanOrEqual(columns);
    }
  });
});

describe('a frame of a server that does not answer', () => {
  const old = { oldSince: new Date('2024-03-06T22:10:03.9Z'), note };

  it('says of when it is, and not what can be done now', () => {
    const shown = draw(120, 24, old);
    const line =
      'as of 22:10:03 UTC, before the server stopped answering' +
      '  primary db1:5432  epoch 3  timeline 2';
    expect(shown[0]).toBe(line);
    expect(shown.join('\n')).not.toMatch(/readable|writable/);
    expect(draw(60, 12, old)[0]).toBe('as of 22:10:03 UTC, before the server stopped answering');
  });

  it('has no colours of states, but that of what is over', () => {
    const shown = draw(120, 24, old, true);
    const row = shown.find((line) => line.includes('db1:5432      primary')) ?? '';
    const [table = ''] = shown.filter((line) => line.includes('fenced (former primary)'));
    expect([row, table].join('')).not.toContain('\u001b[3');
    expect(table.startsWith('\u001b[90m')).toBe(true);
    expect(draw(120, 24, {}, true).join('\n')).toContain('\u001b[32mprimary\u001b[0m');
  });
});

describe('a screen', () => {
  const told = { topology: messageOf(nodes), serverTime: timestampFromDate(new Date(0)) };
  const open = () => {
    const frames: string[] = [];
    const write = (text: string) => frames.push(text);
    const terminal = Object.assign(new EventEmitter(), { write, columns: 120, rows: 24 });
    const screen = new Screen(terminal as unknown as Terminal);
    return { screen, isOld: () => (frames.at(-1) ?? '').includes('as of 00:00:00 UTC') };
  };

  it('is old from the first silence until the server tells of the cluster again', () => {
    const { screen, isOld } = open();
    screen.show(told);
    expect(isOld()).toBe(false);
    screen.miss(true);
    expect(isOld()).toBe(true);
    screen.refresh(told);
    expect(isOld()).toBe(false);
    screen.note('it does not answer', true);
    expect(isOld()).toBe(true);
    screen.show(told);
    expect(isOld()).toBe(false);
  });

  it('is old where the watch and the figures are both refused, not where only one is', () => {
    const { screen, isOld } = open();
    screen.show(told);
    screen.miss(false);
    expect(isOld()).toBe(false);
    screen.note('it has too much to do', false);
    expect(isOld()).toBe(false);
    screen.miss(false);
    expect(isOld()).toBe(true);
  });
});

// `stowage topology` over a cluster that a test moves: tables, frames, lines, and a lost server.
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { topologyCommand } from '../../src/cli/topology.js';
import { ClusterService, createClient, createTransport } from '../../src/client/index.js';
import { StowageError } from '../../src/errors.js';
import { until } from '../../src/lib/wait.js';
import { FakeCluster, openClusterDoors } from '../support/fake-cluster.js';
import { freePort } from '../support/free-port.js';
import { type Ran, runCommand, type Surroundings } from '../support/shell.js';
import { snapshotOf } from '../support/topology-snapshots.js';

const wholeCluster = () => [
  snapshotOf('db1:5432', { state: 'primary', timeline: 2, lsn: 0x1_0000_00ffn, lagMs: 0 }),
  snapshotOf('db2:5432', {
    ...{ state: 'standby', timeline: 2, lsn: 0x1_0000_0000n, lagMs: 12.1, lagBytes: 1536n },
    ...{ isDoubted: true, isDrained: true },
  }),
  snapshotOf('db3:5432', { state: 'fenced', fence: 'former_primary', timeline: 1 }),
  snapshotOf('db4\u001b[2J:1'),
];

const known = { primary: 'db1:5432', timeline: 2, epoch: 3, hasPrimary: true, canRead: true };

function run(server: string, args: readonly string[], around?: Surroundings): Promise<Ran> {
  return runCommand((shell) => topologyCommand({ server }, shell), args, around);
}

/** A command that runs until Ctrl-C, and what it has printed so far. */
function start(server: string, args: readonly string[], isTTY = false) {
  const said = { stdout: '', stderr: '' };
  const output = (name: keyof typeof said) => {
    const stream = Object.assign(new PassThrough(), { isTTY, hasColors: () => true });
    stream.on('data', (chunk: Buffer) => {
      said[name] += chunk.toString();
    });
    return stream;
  };
  const stdin = new PassThrough();
  const shell = { stdin, stdout: output('stdout'), stderr: output('stderr'), exitCode: 0 };
  const command = topologyCommand({ server }, shell);
  const ended = command.parseAsync([...args], { from: 'user' }).then(() => shell.exitCode);
  return {
    said,
    says: (text: string | RegExp, name: keyof typeof said = 'stdout') =>
      until(() => said[name].search(text) >= 0, { timeoutMs: 10_000, what: `it says ${text}` }),
    ended,
    stop(): Promise<number> {
      process.emit('SIGINT');
      return ended;
    },
  };
}

const moved = { node: 'db1:5432', from: 'primary', to: 'unreachable', detail: 'lost' } as const;
const lost = { primary: undefined, hasPrimary: false };

describe('stowage topology --once', () => {
  it('shows what the cluster can do and every node with why it gets no calls', async () => {
    await using doors = await openClusterDoors(
      new FakeCluster({ ...known, nodes: wholeCluster() }),
    );
    const { exitCode, stdout } = await run(doors.grpc, ['--once']);
    expect(exitCode).toBe(0);
    expect(stdout.split('\n')).toEqual([
      'primary db1:5432  epoch 3  timeline 2  readable  writable',
      '',
      'NODE          STATE                       TIMELINE   LSN    LAG   BEHIND  CALLS  STREAMS',
      'db1:5432      primary                            2  1/FF   0 ms           1/4/0    1/4/0',
      'db2:5432      standby (drained, doubted)         2   1/0  13 ms  1.5 KiB  1/4/0    1/4/0',
      'db3:5432      fenced (former primary)            1                        1/4/0    1/4/0',
      'db4\\x1b[2J:1  unknown                                                     1/4/0    1/4/0',
      '',
    ]);
  });

  it('says of a cluster of which nothing is known that nothing can be done', async () => {
    await using doors = await openClusterDoors(new FakeCluster());
    const { stdout } = await run(doors.grpc, ['--once']);
    const [line] = stdout.split('\n');
    expect(line).toBe('primary unknown  epoch 0  timeline unknown  not readable  not writable');
  });

  it('prints one JSON document in a line', async () => {
    await using doors = await openClusterDoors(
      new FakeCluster({ ...known, nodes: wholeCluster() }),
    );
    const { stdout } = await run(doors.grpc, ['--once', '--json']);
    expect(stdout.split('\n')).toHaveLength(2);
    const { topology, serverTime } = JSON.parse(stdout);
    expect(topology).toMatchObject({ primary: 'db1:5432', epoch: '3', canWrite: true });
    expect(topology.nodes[2]).toMatchObject({ fenceReason: 'FENCE_REASON_FORMER_PRIMARY' });
    expect(Date.parse(serverTime)).not.toBeNaN();
  });

  it('fails with a sentence where no server is', async () => {
    const server = `127.0.0.1:${await freePort()}`;
    const { exitCode, stderr } = await run(server, ['--once']);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/^stowage topology: 127\.0\.0\.1:\d+ does not answer: .*\n$/);
  });
});

describe('stowage topology', () => {
  it('prints a table and then a line a transition where nobody watches', async () => {
    const cluster = new FakeCluster({ ...known, nodes: wholeCluster() });
    await using doors = await openClusterDoors(cluster, { streamHeartbeatMs: 10 });
    const command = start(doors.grpc, []);
    await command.says(/db3/);
    const beats = start(doors.grpc, ['--json']);
    await beats.says(/(\n.*){3}/);
    cluster.move({ ...moved, detail: 'lost\u001b[2J' }, lost);
    cluster.move({ ...moved, node: 'db2:5432', from: 'standby', to: 'primary', detail: '' });
    await command.says(/standby -> primary/);
    expect(await command.stop()).toBe(130);
    const lines = command.said.stdout.split('\n');
    expect(lines).toHaveLength(10);
    expect(lines[7]).toMatch(/^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z {2}db1:5432 {2}primary -> unreach/);
    expect(lines[7]).toMatch(/unreachable {2}lost\\x1b\[2J$/);
    expect(lines[8]).toMatch(/Z {2}db2:5432 {2}standby -> primary$/);
    expect(command.said.stderr).toBe('');
  });

  it('prints each message as a line of JSON, heartbeats too', async () => {
    const cluster = new FakeCluster({ ...known, nodes: wholeCluster() });
    await using doors = await openClusterDoors(cluster, { streamHeartbeatMs: 10 });
    const command = start(doors.grpc, ['--json'], true);
    await command.says(/(\n.*){3}/);
    cluster.move(moved, lost);
    await command.says(/transition/);
    expect(await command.stop()).toBe(130);
    const messages = command.said.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const [first, second] = messages;
    expect(first.topology).toEqual(second.topology);
    const told = messages.filter(({ transition }) => transition !== undefined);
    expect(told).toMatchObject([
      { transition: { node: 'db1:5432', toState: 'NODE_STATE_UNREACHABLE', detail: 'lost' } },
    ]);
    expect(told[0].topology.primary).toBeUndefined();
  });

  it('waits for a server that goes away, says so, and begins again with a table', async () => {
    const cluster = new FakeCluster({ ...known, nodes: wholeCluster() });
    const first = await openClusterDoors(cluster);
    const command = start(first.grpc, []);
    await command.says(/db3/);
    await first[Symbol.asyncDispose]();
    await command.says(/^stowage topology: .*; trying again\n/, 'stderr');
    cluster.move(moved, lost);
    const port = Number(first.grpc.split(':')[1]);
    const grpcAddress = { host: '127.0.0.1', port };
    await using _second = await openClusterDoors(cluster, { grpcAddress });
    await command.says(/\nprimary unknown/);
    cluster.move({ ...moved, from: 'unreachable', to: 'standby' });
    await command.says(/unreachable -> standby/);
    expect(await command.stop()).toBe(130);
  });

  it('draws in place on a terminal, with colours, and leaves the last frame', async () => {
    const cluster = new FakeCluster({ ...known, nodes: wholeCluster() });
    await using doors = await openClusterDoors(cluster);
    const command = start(doors.grpc, [], true);
    await command.says(/db3/);
    cluster.move(moved, lost);
    await command.says(/lost/);
    expect(await command.stop()).toBe(130);
    const { stdout } = command.said;
    expect(stdout.startsWith('\u001b[?25l')).toBe(true);
    expect(stdout.endsWith('\u001b[?25h')).toBe(true);
    expect(stdout).toContain('\u001b[32mprimary\u001b[0m');
    expect(stdout).toContain('\u001b[35mfenced\u001b[0m (former primary)');
    expect(stdout).not.toContain('\u001b[2J');
    const frames = stdout.split('\u001b[J').slice(1);
    expect(frames[0]?.split('\n')).toHaveLength(8);
    // The second frame begins above the seven lines of the first.
    expect(frames[0]).toContain('\u001b[7A\r');
    expect(frames[1]).toContain('\u001b[31mnot writable\u001b[0m');
  });

  it('shows the figures of now though nothing happens', async () => {
    const cluster = new FakeCluster({ ...known, nodes: wholeCluster() });
    await using doors = await openClusterDoors(cluster);
    const command = start(doors.grpc, [], true);
    await command.says(/db3/);
    cluster.become({ epoch: 44 });
    await command.says(/epoch 44/);
    await command.stop();
  });

  it('waits for a server that is not up yet', async () => {
    const port = await freePort();
    const command = start(`127.0.0.1:${port}`, []);
    await command.says(/^stowage topology: .*does not answer.*trying again\n$/, 'stderr');
    const cluster = new FakeCluster({ ...known, nodes: wholeCluster() });
    const grpcAddress = { host: '127.0.0.1', port };
    await using _doors = await openClusterDoors(cluster, { grpcAddress });
    await command.says(/^primary db1/);
    expect(await command.stop()).toBe(130);
  });

  it('is refused for the load, says so, and comes in once there is room', async () => {
    const cluster = new FakeCluster({ ...known, nodes: wholeCluster() });
    await using doors = await openClusterDoors(cluster, { streamsInFlightMax: 1 });
    const watching = new AbortController();
    const transport = createTransport({ endpoints: doors.grpc });
    const client = createClient(ClusterService, transport);
    const messages = client.watchTopology({}, { signal: watching.signal })[Symbol.asyncIterator]();
    await messages.next();
    const [own] = cluster.listeners;
    const drawn = start(doors.grpc, [], true);
    await drawn.says(/OVERLOADED: [\s\S]*trying\sagain/);
    // The figures come from the server all the same: they are there, and not old.
    await drawn.says(/\nNODE [\s\S]*OVERLOADED: /);
    expect(drawn.said.stdout).not.toContain('as of');
    watching.abort();
    await messages.next().catch(() => undefined);
    transport.close();
    const isIn = () => [...cluster.listeners].some((listener) => listener !== own);
    await until(isIn, { timeoutMs: 10_000, what: 'it is let in' });
    cluster.move(moved, lost);
    await drawn.says(/-> .{0,5}unreachable/);
    expect(drawn.said.stdout.split('\u001b[J').at(-1)).not.toContain('OVERLOADED');
    expect(await drawn.stop()).toBe(130);
  });

  it('goes on where its figures fail, though their failure does not pass', async () => {
    const told = { isBroken: false, failures: 0 };
    class BrokenCluster extends FakeCluster {
      override topology() {
        if (!told.isBroken) return super.topology();
        told.failures += 1;
        throw new StowageError('PERMISSION_DENIED');
      }
    }
    const cluster = new BrokenCluster({ ...known, nodes: wholeCluster() });
    await using doors = await openClusterDoors(cluster);
    const command = start(doors.grpc, [], true);
    await command.says(/db3/);
    told.isBroken = true;
    await until(() => told.failures > 1, { timeoutMs: 10_000, what: 'two polls have failed' });
    told.isBroken = false;
    cluster.move(moved, lost);
    await command.says(/not writable/);
    expect(await command.stop()).toBe(130);
  });

  it('ends on what does not pass', async () => {
    const cluster = new FakeCluster(known);
    await using doors = await openClusterDoors(cluster, { authToken: 'a-token' });
    const command = start(doors.grpc, []);
    expect(await command.ended).toBe(1);
    expect(command.said.stderr).toMatch(/^stowage topology: UNAUTHENTICATED: [^\n]*\n$/);
  });

  it('marks what it draws as old while its server does not answer', async () => {
    const cluster = new FakeCluster({ ...known, nodes: wholeCluster() });
    const doors = await openClusterDoors(cluster);
    const command = start(doors.grpc, [], true);
    await command.says(/writable/);
    await doors[Symbol.asyncDispose]();
    await command.says(/as of \d\d:\d\d:\d\d UTC, before the server stopped answering/);
    const frame = command.said.stdout.split('\u001b[J').at(-1);
    expect(frame).not.toContain('writable');
    expect(await command.stop()).toBe(130);
  });
});

describe('stowage topology drain', () => {
  it('refuses what is for the watch', async () => {
    const cluster = new FakeCluster(known);
    await using doors = await openClusterDoors(cluster);
    for (const option of ['--once', '--json']) {
      const { exitCode, stderr } = await run(doors.grpc, ['drain', option, 'db1:5432']);
      expect(exitCode).toBe(2);
      expect(stderr).toContain(`${option} is for the watch, not for drain`);
    }
  });
});

describe('stowage topology accept', () => {
  const diverged = () =>
    new FakeCluster({ ...known, nodes: [...wholeCluster(), snapshotOf('db5:1', { timeline: 5 })] });
  const terminal = (input: string) => ({ isTerminal: true, input });

  it('asks on a terminal, and says what is given up', async () => {
    const cluster = diverged();
    await using doors = await openClusterDoors(cluster);
    const refused = await run(doors.grpc, ['accept', '1'], terminal('n\n'));
    expect(refused.exitCode).toBe(1);
    expect(refused.stderr).toContain(
      'db1:5432 is up, and the primary of timeline 2: it is given up. ' +
        'Timeline 2 is given up with what was written on it. Go on with 1 (db3:5432)? [y/N] ',
    );
    expect(refused.stderr).toContain('Nothing is changed.\n');
    expect(cluster.accepted).toEqual([]);
    const done = await run(doors.grpc, ['accept', '1'], terminal('y\n'));
    expect(done).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('timeline 1') });
    expect(cluster.accepted).toEqual(['1 anonymous']);
  });

  it('asks for a higher timeline too, whose lower one was accepted before', async () => {
    const cluster = diverged();
    await using doors = await openClusterDoors(cluster);
    const refused = await run(doors.grpc, ['accept', '5'], terminal('n\n'));
    expect(refused.stderr).toContain('Timeline 2 is given up');
    expect(refused.stderr).toContain('Go on with 5 (no node takes writes on it)? [y/N] ');
    cluster.become({ hasPrimary: false });
    const without = await run(doors.grpc, ['accept', '2'], terminal('n\n'));
    expect(without.stderr).toContain('Every newer timeline is given up');
    expect(without.stderr).not.toContain('db1:5432 is up');
    expect(cluster.accepted).toEqual([]);
  });

  it('asks nothing where nothing is given up', async () => {
    const cluster = diverged();
    await using doors = await openClusterDoors(cluster);
    expect((await run(doors.grpc, ['accept', '2'], terminal(''))).exitCode).toBe(0);
    expect(cluster.accepted).toEqual(['2 anonymous']);
  });

  it('wants --yes where nobody can be asked', async () => {
    const cluster = diverged();
    await using doors = await openClusterDoors(cluster);
    const unasked = await run(doors.grpc, ['accept', '1']);
    expect(unasked).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('--yes') });
    expect(cluster.accepted).toEqual([]);
    expect((await run(doors.grpc, ['accept', '1', '--yes'])).exitCode).toBe(0);
    const none = await run(doors.grpc, ['accept', '7', '--yes']);
    expect(none.exitCode).toBe(1);
    expect(none.stderr).toMatch(
      /^stowage topology: TIMELINE_NOT_FOUND: .*\n.*`stowage topology --once`/,
    );
    expect((await run(doors.grpc, ['accept', 'one', '--yes'])).exitCode).toBe(2);
  });

  it('goes to the server that stands before its name, or behind it', async () => {
    const cluster = diverged();
    await using doors = await openClusterDoors(cluster);
    const nobody = `127.0.0.1:${await freePort()}`;
    const accept = ['accept', '1', '--yes'];
    const server = ['--server', doors.grpc];
    expect((await run(nobody, [...server, ...accept])).exitCode).toBe(0);
    expect((await run(nobody, [...accept, ...server])).exitCode).toBe(0);
    expect((await run(nobody, accept)).exitCode).toBe(1);
  });
});

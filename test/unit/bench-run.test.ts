import { describe, expect, it } from 'vitest';
import { parseOptions, UsageError } from '../../bench/frame/options.js';
import { runInTurns } from '../../bench/frame/run-lane.js';
import { lanes } from '../../bench/lanes/index.js';
import { callInFlight } from '../../bench/rig/in-flight.js';

const names = ['point-read', 'export', 'ingest'];

describe('bench options', () => {
  it('run every lane, as often as it likes, without standbys, unless told otherwise', () => {
    expect(parseOptions([], names)).toEqual({
      ...{ lanes: names, json: undefined, repetitions: undefined, standbys: 0 },
      ...{ rows: undefined, profile: undefined },
    });
  });

  it('name lanes and numbers', () => {
    const args = ['ingest', '--json', 'out.json', '--repetitions', '7', '--rows', '1000'];
    expect(parseOptions(args, names)).toMatchObject({
      ...{ lanes: ['ingest'], json: 'out.json', repetitions: 7, rows: 1000 },
    });
  });

  it('refuse an unknown lane and say which there are', () => {
    expect(() => parseOptions(['imgest'], names)).toThrow(
      new UsageError('there is no lane imgest, only point-read, export, ingest'),
    );
  });

  it('take thousands and millions in short', () => {
    expect(parseOptions(['--rows', '50k'], names).rows).toBe(50_000);
    expect(parseOptions(['--rows', '10M'], names).rows).toBe(10_000_000);
  });

  it('refuse unknown options and numbers that are none', () => {
    expect(() => parseOptions(['--fast'], names)).toThrow(UsageError);
    for (const text of ['0', '1.5', 'many', '1e9', '1m']) {
      expect(() => parseOptions(['--rows', text], names)).toThrow(UsageError);
    }
  });
});

describe('bench turns', () => {
  const signal = new AbortController().signal;

  it('go forth and back, the first of them unmeasured', async () => {
    const order: string[] = [];
    const subject = (name: string) => async () => ({ turn: order.push(name) });
    const subjects = { ours: subject('ours'), limit: subject('limit'), naive: subject('naive') };
    const options = { count: 2, onProgress: () => undefined, signal };
    const samples = await runInTurns(subjects, options);
    expect(order.join(' ')).toBe('ours limit naive naive limit ours ours limit naive');
    expect(samples.get('ours')).toEqual([{ turn: 6 }, { turn: 7 }]);
    expect(samples.get('naive')).toEqual([{ turn: 4 }, { turn: 9 }]);
  });

  it('end before the next turn when interrupted', async () => {
    const interrupted = new AbortController();
    let turns = 0;
    const ours = async () => {
      turns += 1;
      interrupted.abort(new Error('interrupted'));
      return { turns };
    };
    const options = { count: 5, onProgress: () => undefined, signal: interrupted.signal };
    await expect(runInTurns({ ours }, options)).rejects.toThrow('interrupted');
    expect(turns).toBe(1);
  });
});

describe('bench calls', () => {
  it('keep the number in flight and make each once', async () => {
    let running = 0;
    let most = 0;
    const made: number[] = [];
    const { latenciesMs } = await callInFlight([1, 2, 3, 4, 5, 6, 7], 3, async (request) => {
      running += 1;
      most = Math.max(most, running);
      await Promise.resolve();
      made.push(request);
      running -= 1;
    });
    expect(most).toBe(3);
    expect(made.toSorted()).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(latenciesMs).toHaveLength(7);
  });
});

describe('bench lanes', () => {
  it('have names and rows of their own', () => {
    const rows = lanes.flatMap((lane) => lane.rows.map((row) => `${lane.name}.${row.name}`));
    expect(new Set(rows).size).toBe(rows.length);
    expect(new Set(lanes.map(({ name }) => name)).size).toBe(lanes.length);
  });

  it('ask no more of an aim than its must allows', () => {
    for (const { must, aim, better } of lanes.flatMap((lane) => lane.rows)) {
      if (must === undefined || aim === undefined) continue;
      expect(better === 'lower' ? aim <= must : aim >= must).toBe(true);
    }
  });
});

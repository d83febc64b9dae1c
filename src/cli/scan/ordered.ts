/**
 * Doing things a few at a time: a queue for a fixed number of workers, and a map over a stream
 * that works ahead but answers in order. Both are bounded.
 */

/** A fixed set of workers; each serves one task at a time, tasks wait in order. */
export class Workers<Worker extends NonNullable<unknown>> {
  readonly #idle: Worker[];
  readonly #waiting: ((worker: Worker) => void)[] = [];

  constructor(workers: readonly Worker[]) {
    this.#idle = [...workers];
  }

  /** Runs a task with the next free worker. Who calls bounds how many tasks wait. */
  async run<Result>(task: (worker: Worker) => Promise<Result>): Promise<Result> {
    const worker =
      this.#idle.pop() ?? (await new Promise<Worker>((resolve) => this.#waiting.push(resolve)));
    try {
      return await task(worker);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#idle.push(worker);
      else next(worker);
    }
  }
}

interface Slot<Result> {
  readonly result: Promise<Result>;
  isSettled: boolean;
}

function toSlot<Result>(result: Promise<Result>): Slot<Result> {
  const slot: Slot<Result> = { result, isSettled: false };
  const settle = (): void => {
    slot.isSettled = true;
  };
  // Also keeps a failure behind an earlier one from counting as unhandled.
  result.then(settle, settle);
  return slot;
}

/**
 * Maps a stream, at most `aheadMax` items ahead of the consumer, and yields in the order of the
 * source. The first failure ends it; what runs then is awaited, its outcome is dropped.
 */
export async function* mapOrdered<Item, Result>(
  source: AsyncIterable<Item>,
  map: (item: Item) => Promise<Result>,
  aheadMax: number,
): AsyncGenerator<Result, void, void> {
  const slots: Slot<Result>[] = [];
  try {
    for await (const item of source) {
      slots.push(toSlot(map(item)));
      while (slots[0] !== undefined && (slots[0].isSettled || slots.length >= aheadMax)) {
        yield await slots[0].result;
        slots.shift();
      }
    }
    for (let slot = slots.shift(); slot !== undefined; slot = slots.shift()) {
      yield await slot.result;
    }
  } finally {
    await Promise.allSettled(slots.map((slot) => slot.result));
  }
}

/**
 * Writes down what happens in a round, and counts over the whole run. Keeps one round's history and
 * no more, so that a long run needs no more memory than a short one.
 */

import type { HistoryRecord, Position, Promotion, ReadRecord, WriteRecord } from './history.js';

/** How long a failover took, from the loss of a primary and from the next one's promotion. */
export interface Failover {
  readonly timeline: number;
  readonly sinceLossMs: number;
  readonly sincePromotionMs: number;
}

/** A token with what it stands for. */
export interface HeldToken {
  readonly text: string;
  readonly position: Position;
}

/** Findings of one round that are kept; more would say nothing new. */
const FINDINGS_MAX = 20;

/** Tokens of a timeline that are kept. */
const TOKENS_MAX = 10;

/** Histories and counts. */
export class Recorder {
  /** Operations by kind, over the run. */
  readonly operations = new Map<string, number>();
  /** How attempts ended: `op reason`, over the run. */
  readonly outcomes = new Map<string, number>();
  readonly faults = new Map<string, number>();
  /** The slowest first. */
  readonly failovers: Failover[] = [];
  #records: HistoryRecord[] = [];
  #promotions: Promotion[] = [];
  #refusedTokens: Position[] = [];
  /** The last acknowledged tokens of each timeline. */
  #tokens = new Map<number, HeldToken[]>();
  #newest: HeldToken | undefined;
  #findings = 0;

  /** Begins a round: what the last one was is forgotten. */
  begin(): void {
    this.#records = [];
    this.#promotions = [];
    this.#refusedTokens = [];
    this.#tokens = new Map();
    this.#newest = undefined;
    this.#findings = 0;
  }

  get records(): readonly HistoryRecord[] {
    return this.#records;
  }

  get promotions(): readonly Promotion[] {
    return this.#promotions;
  }

  /** Positions of tokens that were refused with TOKEN_HISTORY_LOST. */
  get refusedTokens(): readonly Position[] {
    return this.#refusedTokens;
  }

  /** The token of the last acknowledged write, whoever made it. */
  get newest(): HeldToken | undefined {
    return this.#newest;
  }

  /** The last tokens of each timeline that a write was acknowledged with. */
  get tokens(): readonly HeldToken[] {
    return [...this.#tokens.values()].flat();
  }

  wrote(write: WriteRecord, token: string): void {
    this.#records.push(write);
    add(this.operations, write.op);
    const { position, endMs } = write;
    if (position === undefined) return;
    this.#newest = { text: token, position };
    const others = this.#tokens.get(position.timeline) ?? [];
    this.#tokens.set(position.timeline, [...others.slice(1 - TOKENS_MAX), this.#newest]);
    const promotion = this.#promotions.at(-1);
    if (promotion?.timeline !== position.timeline) return;
    if (this.failovers.some(({ timeline }) => timeline === position.timeline)) return;
    this.failovers.push({
      timeline: position.timeline,
      sinceLossMs: endMs - promotion.lostMs,
      sincePromotionMs: endMs - promotion.promotedMs,
    });
  }

  read(read: ReadRecord): void {
    this.#records.push(read);
  }

  /** Counts a read by what it asked for, answered or not. */
  asked(op: string, demand: string): void {
    add(this.operations, `${op} ${demand}`);
  }

  /** Counts how an attempt ended. */
  ended(op: string, reason: string): void {
    add(this.outcomes, `${op} ${reason}`);
  }

  promoted(promotion: Promotion): void {
    this.#promotions.push(promotion);
  }

  refusedToken(position: Position): void {
    this.#refusedTokens.push(position);
  }

  finding(rule: string, detail: string): void {
    this.#findings += 1;
    if (this.#findings > FINDINGS_MAX) return;
    this.#records.push({ kind: 'finding', rule, detail, atMs: performance.now() });
  }
}

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

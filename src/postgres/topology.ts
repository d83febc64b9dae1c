/**
 * What is known of the nodes: a value, and the one function that takes an observation in. Pure: it
 * asks nobody and knows no clock but the times it is given.
 */

/**
 * What may be asked of a node.
 * - `unknown`: nothing; not seen yet, or it says what cannot be (two primaries, another cluster).
 * - `primary`: reads and writes.
 * - `standby`: reads.
 * - `unreachable`: nothing; the connection failed, or two probes in a row went unanswered.
 */
export type NodeState =
  | 'unknown'
  | 'primary'
  | 'standby'
  | 'lagging'
  | 'draining'
  | 'unreachable'
  | 'fenced';

/** What a node said of itself. */
export interface NodeReport {
  /** When it was asked, on the clock of `performance.now()`: what it says is no older. */
  readonly askedAtMs: number;
  readonly role: 'primary' | 'standby';
  readonly systemIdentifier: bigint;
  /** Of a primary only: a standby does not tell ordinary roles. */
  readonly timeline: number | undefined;
  /** Flushed by a primary, replayed by a standby; undefined before a standby's first replay. */
  readonly lsn: bigint | undefined;
  /** When its postmaster started, as text. */
  readonly startedAt: string;
}

/** Something that was learned of a node. */
export type Observation =
  | { readonly kind: 'report'; readonly report: NodeReport }
  /** A probe went unanswered. */
  | { readonly kind: 'silent' }
  /** It refused a connection, or ended one. */
  | { readonly kind: 'lost' }
  /** It was held for the primary and refused to write. */
  | { readonly kind: 'demoted' };

/** One node as it is known. */
export interface NodeView {
  readonly name: string;
  readonly state: NodeState;
  /** The last report; kept while the node is unreachable. */
  readonly report: NodeReport | undefined;
  /** A standby has all that was committed before this time; undefined where nobody can tell. */
  readonly freshAsOfMs: number | undefined;
}

interface NodeFacts extends NodeView {
  readonly contact: 'none' | 'up' | 'lost' | 'doubted';
  /** Probes in a row that went unanswered. */
  readonly silences: number;
}

/** The primary's flushed LSN at a moment. */
interface Sample {
  readonly atMs: number;
  readonly lsn: bigint;
}

/** All nodes. */
export interface Topology {
  readonly nodes: ReadonlyMap<string, NodeView>;
  /** The node that is written to; undefined while none is known. */
  readonly primary: string | undefined;
  /** Of the last primary that was known. */
  readonly timeline: number | undefined;
  /** Of the cluster, once a node has been seen. */
  readonly systemIdentifier: bigint | undefined;
}

interface Knowledge extends Topology {
  readonly nodes: ReadonlyMap<string, NodeFacts>;
  /** Ascending; of the present or last primary. */
  readonly samples: readonly Sample[];
  /** Whose samples they are. */
  readonly sampled: string | undefined;
  /** When a primary last claimed `timeline`. */
  readonly claimedAtMs: number;
}

/** Two minutes at the default interval; a standby further behind has an unknown lag. */
const SAMPLES_MAX = 256;

/** Silence that counts as loss: one unanswered probe may be a busy machine. */
const SILENCES_MAX = 2;

/**
 * A primary on a lower timeline than was seen is a former one that came back: writes to it would be
 * lost. It counts again once nobody has claimed the higher one for this long, for a node can be
 * promoted for a moment and be given up.
 */
const FENCE_MS = 30_000;

/** Nothing is known of any node. */
export function unknownTopology(names: readonly string[]): Topology {
  const nodes = new Map<string, NodeFacts>();
  for (const name of names) {
    const report = undefined;
    const freshAsOfMs = undefined;
    nodes.set(name, { name, state: 'unknown', report, freshAsOfMs, contact: 'none', silences: 0 });
  }
  const knowledge: Knowledge = {
    nodes,
    primary: undefined,
    timeline: undefined,
    systemIdentifier: undefined,
    samples: [],
    sampled: undefined,
    claimedAtMs: 0,
  };
  return knowledge;
}

/** The topology after an observation. An unknown name changes nothing. */
export function observe(topology: Topology, name: string, observation: Observation): Topology {
  const knowledge = topology as Knowledge;
  const known = knowledge.nodes.get(name);
  if (known === undefined) return topology;
  const nodes = new Map(knowledge.nodes).set(name, learn(known, observation));
  const systemIdentifier = identify(knowledge, nodes);
  const primary = findPrimary({ ...knowledge, nodes, systemIdentifier });
  const next = { ...knowledge, nodes, systemIdentifier, primary: primary?.name };
  return withStates(withSamples(next, primary, name));
}

function learn(node: NodeFacts, observation: Observation): NodeFacts {
  switch (observation.kind) {
    case 'report':
      return { ...node, report: observation.report, contact: 'up', silences: 0 };
    case 'silent': {
      const silences = node.silences + 1;
      return { ...node, silences, contact: silences >= SILENCES_MAX ? 'lost' : node.contact };
    }
    case 'lost':
      return { ...node, contact: 'lost' };
    case 'demoted':
      return { ...node, contact: 'doubted' };
  }
}

/** The first primary decides which cluster this is; before it is seen, the first standby. */
function identify(
  { timeline, systemIdentifier }: Knowledge,
  nodes: ReadonlyMap<string, NodeFacts>,
): bigint | undefined {
  if (timeline !== undefined) return systemIdentifier;
  const reports = [...nodes.values()].flatMap((node) => node.report ?? []);
  const primary = reports.find((report) => report.role === 'primary');
  return primary?.systemIdentifier ?? systemIdentifier ?? reports[0]?.systemIdentifier;
}

/** Of several that claim to be it, the one on the highest timeline; none where two share that. */
function findPrimary(knowledge: Knowledge): NodeFacts | undefined {
  const { nodes, systemIdentifier } = knowledge;
  const claimers = [...nodes.values()]
    .filter((node) => isMember(node, systemIdentifier) && node.report?.role === 'primary')
    .filter((node) => !isFenced(node, knowledge))
    .sort((a, b) => timelineOf(b) - timelineOf(a));
  const [first, second] = claimers;
  if (first !== undefined && second !== undefined && timelineOf(first) === timelineOf(second)) {
    return undefined;
  }
  return first;
}

function isFenced(node: NodeFacts, { timeline = 0, claimedAtMs }: Knowledge): boolean {
  const askedAtMs = node.report?.askedAtMs ?? 0;
  return timelineOf(node) < timeline && askedAtMs - claimedAtMs <= FENCE_MS;
}

function timelineOf(node: NodeFacts): number {
  return node.report?.timeline ?? 0;
}

/** True for a node that answers and is of this cluster. */
function isMember(node: NodeFacts, systemIdentifier: bigint | undefined): boolean {
  return node.contact === 'up' && node.report?.systemIdentifier === systemIdentifier;
}

/** Takes the primary's LSN down. Another primary, timeline or start begins a fresh series. */
function withSamples(
  knowledge: Knowledge,
  primary: NodeFacts | undefined,
  observed: string,
): Knowledge {
  const report = primary?.report;
  if (primary === undefined || report === undefined) return knowledge;
  const { timeline, askedAtMs: claimedAtMs } = report;
  const sampled = `${primary.name} ${timeline} ${report.startedAt}`;
  const former = sampled === knowledge.sampled ? knowledge.samples : [];
  const isFresh = primary.name === observed && former.at(-1)?.atMs !== report.askedAtMs;
  if (!isFresh || report.lsn === undefined)
    return { ...knowledge, timeline, claimedAtMs, sampled, samples: former };
  const sample: Sample = { atMs: report.askedAtMs, lsn: report.lsn };
  const samples = [...former.slice(1 - SAMPLES_MAX), sample];
  return { ...knowledge, timeline, claimedAtMs, sampled, samples };
}

function withStates(knowledge: Knowledge): Knowledge {
  const nodes = new Map<string, NodeFacts>();
  for (const node of knowledge.nodes.values()) {
    const state = stateOf(node, knowledge);
    const freshAsOfMs = state === 'standby' ? freshness(node, knowledge.samples) : undefined;
    nodes.set(node.name, { ...node, state, freshAsOfMs });
  }
  return { ...knowledge, nodes };
}

function stateOf(node: NodeFacts, knowledge: Knowledge): NodeState {
  if (node.contact === 'lost') return 'unreachable';
  if (!isMember(node, knowledge.systemIdentifier)) return 'unknown';
  if (node.report?.role === 'standby') return 'standby';
  return node.name === knowledge.primary ? 'primary' : 'unknown';
}

/** The time of the newest sample that the standby has replayed. */
function freshness(node: NodeFacts, samples: readonly Sample[]): number | undefined {
  const lsn = node.report?.lsn;
  if (lsn === undefined) return undefined;
  return samples.findLast((sample) => sample.lsn <= lsn)?.atMs;
}

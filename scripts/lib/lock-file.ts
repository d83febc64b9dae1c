// What `npm run lock` and test/lock.test.ts know about package-lock.json: pure functions over its
// parsed form. Nothing here reads a registry.

/** One entry of the lock's `packages`, as far as it is read or written here. */
export interface LockEntry {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly link?: boolean;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly optional?: boolean;
  readonly license?: string;
  readonly hasInstallScript?: boolean;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
  readonly libc?: readonly string[];
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** The lock file, keyed by the folder of each package (`node_modules/x`); `''` is the project. */
export interface LockFile {
  readonly packages: Readonly<Record<string, LockEntry>>;
}

/** An optional dependency that the lock names and has no entry for. */
export interface MissingPackage {
  readonly owner: string;
  readonly name: string;
  readonly version: string;
}

/** What a platform package runs on, read from its name. */
export interface Platform {
  readonly os: readonly string[];
  readonly cpu?: readonly string[];
  readonly libc?: readonly string[];
}

// A word of a package's name -> npm's word. Only names are known of a package that the registry
// at hand does not carry.
const osByWord: Readonly<Record<string, string>> = {
  aix: 'aix',
  android: 'android',
  darwin: 'darwin',
  freebsd: 'freebsd',
  linux: 'linux',
  netbsd: 'netbsd',
  openbsd: 'openbsd',
  openharmony: 'openharmony',
  sunos: 'sunos',
  win32: 'win32',
  windows: 'win32',
};

const cpuByWord: Readonly<Record<string, string>> = {
  aarch64: 'arm64',
  arm: 'arm',
  arm64: 'arm64',
  armv7: 'arm',
  ia32: 'ia32',
  loong64: 'loong64',
  mips64el: 'mips64el',
  ppc64: 'ppc64',
  riscv64: 'riscv64',
  s390x: 's390x',
  x64: 'x64',
};

/**
 * Reads the platform from a package's name, such as `@oxc-parser/binding-linux-x64-musl`.
 *
 * @returns undefined when the name has no operating system in it.
 */
export function platformOf(name: string): Platform | undefined {
  const words = name.split(/[-/]/);
  const os = words.map((word) => osByWord[word]).find((word) => word !== undefined);
  if (os === undefined) return undefined;
  const cpu = words.map((word) => cpuByWord[word]).findLast((word) => word !== undefined);
  const isMusl = words.some((word) => word.startsWith('musl'));
  const isGlibc = words.some((word) => word.startsWith('gnu'));
  return {
    os: [os],
    ...(cpu === undefined ? {} : { cpu: [cpu] }),
    ...(isMusl ? { libc: ['musl'] } : isGlibc ? { libc: ['glibc'] } : {}),
  };
}

/** Where Node would look for `name` from inside the folder `owner`, nearest first. */
function candidateFolders(owner: string, name: string): string[] {
  const folders: string[] = [];
  for (let folder = owner; folder !== ''; ) {
    folders.push(`${folder}/node_modules/${name}`);
    const parent = folder.lastIndexOf('/node_modules/');
    folder = parent === -1 ? '' : folder.slice(0, parent);
  }
  return [...folders, `node_modules/${name}`];
}

/** The package's name, from the folder that it is in. */
function nameOf(path: string): string {
  const marker = 'node_modules/';
  return path.slice(path.lastIndexOf(marker) + marker.length);
}

/** The optional dependencies that the lock names and has no entry for; `npm ci` refuses these. */
export function missingPackages(lock: LockFile): MissingPackage[] {
  return Object.entries(lock.packages).flatMap(([owner, entry]) =>
    Object.entries(entry.optionalDependencies ?? {})
      .filter(([name]) => candidateFolders(owner, name).every((path) => !(path in lock.packages)))
      .map(([name, version]) => ({ owner, name, version })),
  );
}

function entryFor(missing: MissingPackage, owner: LockEntry | undefined): LockEntry {
  const { name, version } = missing;
  const platform = platformOf(name);
  if (platform === undefined || !/^\d/.test(version)) {
    throw new Error(
      `${name}@${version} (of ${missing.owner || 'the project'}) is not in the lock, and its ` +
        'name and version do not say what to write: install from a registry that has it.',
    );
  }
  const { cpu, libc, os } = platform;
  return {
    version,
    ...(cpu ? { cpu } : {}),
    ...(owner?.dev ? { dev: true } : {}),
    ...(owner?.devOptional ? { devOptional: true } : {}),
    ...(libc ? { libc } : {}),
    optional: true,
    os,
  };
}

/**
 * Adds an entry for each platform package that the registry at hand lacks, and drops the registry's
 * addresses. The order is npm's own, so that a second run, or npm, changes nothing.
 *
 * @throws Error for a missing package whose name or version does not say what to write.
 */
export function completeLock<T extends LockFile>(lock: T): T {
  const packages: Record<string, LockEntry> = {};
  for (const [path, entry] of Object.entries(lock.packages)) {
    const { resolved, ...rest } = entry;
    packages[path] = resolved !== undefined && /^https?:/.test(resolved) ? rest : entry;
  }
  for (const missing of missingPackages(lock)) {
    packages[`node_modules/${missing.name}`] = entryFor(missing, lock.packages[missing.owner]);
  }
  const sorted = Object.entries(packages).sort(([a], [b]) => a.localeCompare(b, 'en'));
  return { ...lock, packages: Object.fromEntries(sorted) };
}

/** Whether `npm run lock` wrote this entry: of a foreign platform, so without a known hash. */
function isForeign(path: string, entry: LockEntry): boolean {
  const { cpu, libc, optional, os } = entry;
  const platform = platformOf(nameOf(path));
  const isNamed = JSON.stringify(platform) === JSON.stringify({ os, cpu, libc });
  return optional === true && entry.license === undefined && isNamed;
}

/** The packages that would be installed unchecked: no hash, and not of a foreign platform. */
export function withoutIntegrity(lock: LockFile): string[] {
  return Object.entries(lock.packages)
    .filter(([path, entry]) => path !== '' && !entry.link && !isForeign(path, entry))
    .filter(([, entry]) => !/^sha512-[A-Za-z0-9+/]{86}==$/.test(entry.integrity ?? ''))
    .map(([path]) => path);
}

/** The packages whose licence is not on the list, as `path: licence`. */
export function withOtherLicense(lock: LockFile, allowed: ReadonlySet<string>): string[] {
  return Object.entries(lock.packages)
    .filter(([path, entry]) => path !== '' && !entry.link && !isForeign(path, entry))
    .filter(([, entry]) => !allowed.has(entry.license ?? ''))
    .map(([path, entry]) => `${path}: ${entry.license ?? 'none named'}`);
}

/** The packages that bring an install script and are not denied one, by name. */
export function withInstallScript(lock: LockFile, denied: ReadonlySet<string>): string[] {
  return Object.entries(lock.packages)
    .filter(([path, entry]) => path !== '' && entry.hasInstallScript === true)
    .map(([path]) => nameOf(path))
    .filter((name) => !denied.has(name));
}

/** The packages whose entry names the address that they came from. */
export function withAddress(lock: LockFile): string[] {
  return Object.entries(lock.packages)
    .filter(([, entry]) => /^[a-z+]+:/.test(entry.resolved ?? ''))
    .map(([path]) => path);
}

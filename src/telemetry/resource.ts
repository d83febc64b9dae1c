/** Who tells: the service as collectors know it. */

import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { defaultResource, type Resource, resourceFromAttributes } from '@opentelemetry/resources';

// By the package's own name: the build lies one folder deeper than the source.
const { version } = createRequire(import.meta.url)('stowage/package.json') as { version: string };

/** Tells this process from others of the service, whose figures a collector must not mix up. */
const instanceId = randomUUID();

/** The resource that metrics and traces have in common. */
export function resourceNamed(serviceName: string): Resource {
  return defaultResource().merge(
    resourceFromAttributes({
      'service.name': serviceName,
      'service.version': version,
      'service.instance.id': instanceId,
    }),
  );
}

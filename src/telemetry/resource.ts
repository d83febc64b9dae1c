/** Who tells: the service as collectors know it. */

import { defaultResource, type Resource, resourceFromAttributes } from '@opentelemetry/resources';

/** The resource that metrics and traces have in common. */
export function resourceNamed(serviceName: string): Resource {
  return defaultResource().merge(resourceFromAttributes({ 'service.name': serviceName }));
}

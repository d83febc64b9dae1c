/** ProjectService: messages to store calls and back. */

import { ProjectService } from '../../gen/stowage/v1/project_service_pb.js';
import { invalidField } from '../errors.js';
import {
  changeProject,
  makeProject,
  readProject,
  readProjects,
  removeProject,
} from '../store/projects.js';
import type { Store } from '../store/store.js';
import { defineService, type Handlers, type ServiceDefinition, scopedCall } from './handler.js';

/** ProjectService over a store. */
export function projectService(store: Store): ServiceDefinition {
  const handlers = {
    async createProject({ project, requestId }, context) {
      if (project === undefined) throw invalidField('project', 'is required');
      const call = scopedCall(context, project);
      const { response, token } = await makeProject(store, call, project, requestId);
      return { ...response, token };
    },

    async getProject(request, context) {
      return { project: await readProject(store, scopedCall(context, request)) };
    },

    listProjects(request, context) {
      return readProjects(store, scopedCall(context, { freshness: request.freshness }), request);
    },

    async updateProject({ project, updateMask, ifRevision, requestId }, context) {
      if (project === undefined) throw invalidField('project', 'is required');
      const paths = updateMask?.paths ?? [];
      const call = scopedCall(context, project);
      const update = { project, paths, ifRevision, requestId };
      const { response, token } = await changeProject(store, call, update);
      return { ...response, token };
    },

    async deleteProject(request, context) {
      const { ifRevision, requestId } = request;
      const call = scopedCall(context, { project: request.project });
      const { response, token } = await removeProject(store, call, { ifRevision, requestId });
      return { ...response, token };
    },
  } satisfies Handlers<typeof ProjectService>;
  return defineService(ProjectService, handlers);
}

/**
 * grpc.reflection v1 and v1alpha from the descriptors themselves: options and imports stay, which
 * @grpc/reflection drops by encoding them anew.
 */

import { type DescFile, type DescMessage, type DescService, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import * as v1 from '../../gen/grpc/reflection/v1/reflection_pb.js';
import * as v1alpha from '../../gen/grpc/reflection/v1alpha/reflection_pb.js';
import { defineService, type Handlers, type ServiceDefinition } from '../services/handler.js';

const notFound = 5;
const unimplemented = 12;

/** Both versions of the reflection service, for `services` and for themselves. */
export function reflectionServices(services: readonly DescService[]): ServiceDefinition[] {
  const index = new ReflectionIndex([...services, v1.ServerReflection, v1alpha.ServerReflection]);
  return [
    defineService(v1.ServerReflection, {
      async *serverReflectionInfo(requests) {
        for await (const request of requests) {
          const messageResponse = index.answer(request.messageRequest);
          yield { validHost: request.host, originalRequest: request, messageResponse };
        }
      },
    } satisfies Handlers<typeof v1.ServerReflection>),
    defineService(v1alpha.ServerReflection, {
      async *serverReflectionInfo(requests) {
        for await (const request of requests) {
          const messageResponse = index.answer(request.messageRequest);
          yield { validHost: request.host, originalRequest: request, messageResponse };
        }
      },
    } satisfies Handlers<typeof v1alpha.ServerReflection>),
  ];
}

type Question = (v1.ServerReflectionRequest | v1alpha.ServerReflectionRequest)['messageRequest'];

/** Files by name and by what they declare. */
class ReflectionIndex {
  readonly #services: readonly DescService[];
  readonly #byName = new Map<string, DescFile>();
  readonly #bySymbol = new Map<string, DescFile>();

  constructor(services: readonly DescService[]) {
    this.#services = services;
    for (const service of services) {
      this.#addFile(service.file);
    }
  }

  answer(question: Question) {
    switch (question.case) {
      case 'listServices': {
        const service = this.#services.map(({ typeName }) => ({ name: typeName }));
        return { case: 'listServicesResponse', value: { service } } as const;
      }
      case 'fileByFilename':
        return fileAnswer(this.#byName.get(question.value), question.value);
      case 'fileContainingSymbol':
        return fileAnswer(this.#bySymbol.get(question.value), question.value);
      case 'fileContainingExtension': {
        const { containingType, extensionNumber } = question.value;
        const symbol = `${containingType}#${extensionNumber}`;
        return fileAnswer(this.#bySymbol.get(symbol), symbol);
      }
      case 'allExtensionNumbersOfType': {
        const prefix = `${question.value}#`;
        const extensionNumber = [...this.#bySymbol.keys()]
          .filter((symbol) => symbol.startsWith(prefix))
          .map((symbol) => Number(symbol.slice(prefix.length)));
        return extensionNumber.length === 0 && !this.#bySymbol.has(question.value)
          ? errorAnswer(notFound, `nothing is named ${question.value}`)
          : ({
              case: 'allExtensionNumbersResponse',
              value: { baseTypeName: question.value, extensionNumber },
            } as const);
      }
      default:
        return errorAnswer(unimplemented, 'the request asks for nothing');
    }
  }

  #addFile(file: DescFile): void {
    if (this.#byName.has(file.proto.name)) {
      return;
    }
    this.#byName.set(file.proto.name, file);
    for (const dependency of file.dependencies) {
      this.#addFile(dependency);
    }
    for (const service of file.services) {
      this.#bySymbol.set(service.typeName, file);
      for (const method of service.methods) {
        this.#bySymbol.set(`${service.typeName}.${method.name}`, file);
      }
    }
    this.#addTypes(file, file);
    for (const message of file.messages) {
      this.#addMessage(file, message);
    }
  }

  #addMessage(file: DescFile, message: DescMessage): void {
    this.#bySymbol.set(message.typeName, file);
    for (const member of message.members) {
      this.#bySymbol.set(`${message.typeName}.${member.name}`, file);
    }
    this.#addTypes(file, {
      enums: message.nestedEnums,
      extensions: message.nestedExtensions,
    });
    for (const nested of message.nestedMessages) {
      this.#addMessage(file, nested);
    }
  }

  #addTypes(file: DescFile, { enums, extensions }: Pick<DescFile, 'enums' | 'extensions'>): void {
    for (const { typeName } of enums) {
      this.#bySymbol.set(typeName, file);
    }
    for (const { typeName, extendee, number } of extensions) {
      this.#bySymbol.set(typeName, file);
      this.#bySymbol.set(`${extendee.typeName}#${number}`, file);
    }
  }
}

/** The file with all that it imports, each before what it imports itself. */
function fileAnswer(file: DescFile | undefined, name: string) {
  if (file === undefined) {
    return errorAnswer(notFound, `nothing is named ${name}`);
  }
  const closure = new Set<DescFile>();
  addWithImports(file, closure);
  const fileDescriptorProto = [...closure]
    .reverse()
    .map((each) => toBinary(FileDescriptorProtoSchema, each.proto));
  return { case: 'fileDescriptorResponse', value: { fileDescriptorProto } } as const;
}

function addWithImports(file: DescFile, closure: Set<DescFile>): void {
  if (!closure.has(file)) {
    for (const dependency of file.dependencies) {
      addWithImports(dependency, closure);
    }
    closure.add(file);
  }
}

function errorAnswer(errorCode: number, errorMessage: string) {
  return { case: 'errorResponse', value: { errorCode, errorMessage } } as const;
}

/** Doors in a process of their own, that a test may freeze: prints the URL of the gRPC door. */
import { openDoors } from './doors.js';

const { grpcUrl } = await openDoors();
process.stdout.write(`${grpcUrl}\n`);

import { startCollector } from '@chaperone/collector/index.ts';
import { collectorOptions } from './collector.ts';

/** A collector in a process of its own, so that a test can kill it. Says its URL to the parent. */
const collector = await startCollector(collectorOptions(process.argv[2]!));
process.send?.(collector.url);

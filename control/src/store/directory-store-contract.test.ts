import { storeContract } from './contract.ts';
import { testDirectory } from './testing.ts';

storeContract('DirectoryStore', async () => {
  const directory = testDirectory();
  return { store: await directory.open(), close: () => directory.close() };
});

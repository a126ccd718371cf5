/** Slots for work that is dear, shared so that nobody who asks for much keeps out those who ask for little. */

export interface FairSlotsOptions {
  /** Work under way at once. */
  readonly slots: number;
  /** Of these, one key's. */
  readonly perKey: number;
  /** That wait for a slot, of all keys together. */
  readonly waiting: number;
}

/** To be called once, when the work is done. */
export type Release = () => void;

interface Party {
  active: number;
  /** In order of coming. */
  readonly waiting: ((release: Release | undefined) => void)[];
}

/**
 * Who waits is served in turn by key, not by coming. When too many wait, the key that has the most of them
 * loses its last one.
 */
export class FairSlots {
  readonly #options: FairSlotsOptions;
  /** In order of turn: who was served last stands last. */
  readonly #parties = new Map<string, Party>();
  #active = 0;
  #waiting = 0;

  constructor(options: FairSlotsOptions) {
    this.#options = options;
  }

  /** Resolves with undefined for whom there is no room, at once or when others come. */
  acquire(key: string): Promise<Release | undefined> {
    const party = this.#parties.get(key) ?? { active: 0, waiting: [] };
    this.#parties.set(key, party);
    const slot = new Promise<Release | undefined>((resolve) => party.waiting.push(resolve));
    this.#waiting += 1;
    this.#serve();
    if (this.#waiting > this.#options.waiting) this.#turnAway(party);
    return slot;
  }

  #serve(): void {
    const { slots, perKey } = this.#options;
    for (const [key, party] of this.#parties) {
      if (this.#active >= slots) return;
      if (party.active >= perKey) continue;
      const next = party.waiting.shift();
      if (next === undefined) continue;
      this.#waiting -= 1;
      this.#active += 1;
      party.active += 1;
      this.#parties.delete(key);
      this.#parties.set(key, party); // stands last now, and is come to again in this very loop
      next(this.#releaseOf(key, party));
    }
  }

  #releaseOf(key: string, party: Party): Release {
    let over = false;
    return () => {
      if (over) return;
      over = true;
      this.#active -= 1;
      party.active -= 1;
      this.#forgetIdle(key, party);
      this.#serve();
    };
  }

  #turnAway(newest: Party): void {
    let most = newest;
    for (const party of this.#parties.values()) {
      if (party.waiting.length > most.waiting.length) most = party;
    }
    const loser = most.waiting.pop();
    if (loser === undefined) return;
    this.#waiting -= 1;
    for (const [key, party] of this.#parties) if (party === most) this.#forgetIdle(key, party);
    loser(undefined);
  }

  #forgetIdle(key: string, { active, waiting }: Party): void {
    if (active === 0 && waiting.length === 0) this.#parties.delete(key);
  }
}

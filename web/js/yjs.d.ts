// `peergraph/yjs`: a provider for Yjs. Needs the packages `yjs`, `y-protocols` and `lib0` beside this one.
import type { ObservableV2 } from "lib0/observable";
import type { Awareness } from "y-protocols/awareness";
import type * as Y from "yjs";
import type { Group } from "./group.js";

/** Events of a {@link PeergraphProvider}. */
export interface ProviderEvents {
  /** Whether a neighbour of the group is linked. */
  status(event: { status: "connected" | "connecting" | "disconnected"; connected: boolean }): void;
  /** Whether all that is stored here is in the document. The updates of others come as they arrive. */
  synced(event: { synced: boolean }): void;
  /** The same. */
  sync(synced: boolean): void;
  /** Nodes of the group that came or went. */
  peers(event: { added: string[]; removed: string[] }): void;
  /**
   * A record is gone, since its member was put out: what it said is in this document still. {@link PeergraphProvider.load} makes
   * one without it.
   */
  withdrawn(event: { id: string }): void;
  /** An update could not be written yet, and is tried again; or a member has written what is no update. */
  error(error: Error & { code?: string }): void;
}

/**
 * Keeps a document of Yjs the same for all members of a group, now and after restarts: updates are records of the type
 * `yjs.update`, so who may publish those may edit. Awareness (cursors, names) goes to all who are here, and is stored nowhere.
 *
 * ```js
 * const doc = new Y.Doc();
 * const provider = new PeergraphProvider(group, "minutes", doc);
 * ```
 *
 * Takes the place of `WebrtcProvider` or `WebsocketProvider`; editors need `provider.doc` and `provider.awareness`.
 */
export class PeergraphProvider extends ObservableV2<ProviderEvents> {
  /** `name` tells the documents of one group apart. */
  constructor(group: Group<any>, name: string, doc: Y.Doc, options?: { awareness?: Awareness; connect?: boolean });
  readonly group: Group<any>;
  readonly name: string;
  readonly doc: Y.Doc;
  readonly awareness: Awareness;
  readonly synced: boolean;
  readonly connected: boolean;
  readonly shouldConnect: boolean;
  connect(): void;
  /** Updates wait until {@link connect}. */
  disconnect(): void;
  /** Done when all updates of this document so far are in durable records. */
  flush(): Promise<void>;
  /** Writes what waits, and ends. The document stays. */
  destroy(): Promise<void>;
  /** A document as the records of members say that stand now. */
  static load(group: Group<any>, name: string, doc?: Y.Doc): Promise<Y.Doc>;
}

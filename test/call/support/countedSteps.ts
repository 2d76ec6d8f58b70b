/** The fiber steps of calls, as they were counted: one module, since Effect 4 needs others. */
export const counted = {
  operations: { value: 1, flatMap: 3, async: 3 },
  directChat: 5,
  /** Those that are added to the request alone. */
  portableChat: 44,
  /** Those that are added to a ready chunk. */
  chunk: { direct: 3, portable: 31 },
  plainChat: 19,
  cacheHit: 2,
  /** Those that are added to a chat over an `HttpClient`. */
  policies: { balance: 2, fallback: 2, hedge: 0, "fallback of hedges of balances": 2 },
  /** Those that are added to a plain call. */
  features: {
    retry: { chat: 0, stream: 0 },
    "time limits": { chat: 0, stream: 0 },
    telemetry: { chat: 0, stream: 0 },
    price: { chat: 0, stream: 4 },
    ledger: { chat: 2, stream: 0 },
    budget: { chat: 11, stream: 24 },
    "two budgets": { chat: 11, stream: 24 },
    hedge: { chat: 0, stream: 43 },
    "balance over 100": { chat: 2, stream: 38 },
    "fallback of 3": { chat: 2, stream: 27 }
  }
}

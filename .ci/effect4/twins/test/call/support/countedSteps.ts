/** The fiber steps of calls, as they were counted. */
export const counted = {
  operations: { value: 0, flatMap: 2, async: 1 },
  directChat: 2,
  /** Those that are added to the request alone. */
  portableChat: 28,
  /** Those that are added to a ready chunk. */
  chunk: { direct: 0, portable: 18 },
  plainChat: 13,
  cacheHit: 1,
  /** Those that are added to a chat over an `HttpClient`. */
  policies: { balance: 1, fallback: 1, hedge: 0, "fallback of hedges of balances": 1 },
  /** Those that are added to a plain call. */
  features: {
    retry: { chat: 0, stream: 0 },
    "time limits": { chat: 0, stream: 0 },
    telemetry: { chat: 0, stream: 0 },
    price: { chat: 0, stream: 4 },
    ledger: { chat: 1, stream: 0 },
    budget: { chat: 7, stream: 18 },
    "two budgets": { chat: 7, stream: 18 },
    hedge: { chat: 0, stream: 22 },
    "balance over 100": { chat: 1, stream: 27 },
    "fallback of 3": { chat: 1, stream: 18 }
  }
}

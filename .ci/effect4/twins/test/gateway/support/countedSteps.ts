/** The fiber steps of a request to a hot route, as they were counted. */
export const countedSteps = { whole: 25, streamed: 41 }

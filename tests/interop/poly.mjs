// Node 20 lacks what js-libp2p 3 uses of Node 22.
Promise.withResolvers ??= function () {
  let resolve, reject
  const promise = new this((done, fail) => { resolve = done; reject = fail })
  return { promise, resolve, reject }
}
Promise.try ??= function (call, ...args) {
  return new this((done) => done(call(...args)))
}

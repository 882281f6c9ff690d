use super::Failure;
use super::n2n::store;
use crate::handlers::Capability;
use crate::handlers::state::CallState;
use crate::key_store::StoreError;
use crate::trace::Value;

impl store::Host for CallState {
    fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, Failure>> {
        let given = || vec![Value::Text(key.clone())];
        self.host_call(Capability::Store, "get", given, |state| {
            let store = &state.services.sources.store;
            match store.plugin_entry(&state.plugin, &key) {
                Ok(value) => Ok(Ok(value.map(|value| value.to_vec()))),
                Err(error) => state.unreadable(&error),
            }
        })
    }

    fn keys(&mut self, prefix: String) -> wasmtime::Result<Result<Vec<String>, Failure>> {
        let given = || vec![Value::Text(prefix.clone())];
        self.host_call(Capability::Store, "keys", given, |state| {
            let store = &state.services.sources.store;
            match store.plugin_keys(&state.plugin, &prefix) {
                Ok(keys) => Ok(Ok(keys)),
                Err(error) => state.unreadable(&error),
            }
        })
    }
}

impl CallState {
    /// What is wrong with the disk is the operator's business, not the guest's.
    fn unreadable<T>(&self, error: &StoreError) -> wasmtime::Result<Result<T, Failure>> {
        tracing::error!(plugin = &*self.plugin, "its store cannot be read: {error}");
        Ok(Err(Failure::Unavailable("the store cannot be read".into())))
    }
}

use super::Failure;
use super::n2n::store;
use crate::handlers::Capability;
use crate::handlers::state::CallState;
use crate::key_store::StoreError;

impl store::Host for CallState {
    fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, Failure>> {
        self.count_call(Capability::Store)?;
        match self.services.store.plugin_entry(&self.plugin, &key) {
            Ok(value) => Ok(Ok(value.map(|value| value.to_vec()))),
            Err(error) => self.unreadable(&error),
        }
    }

    fn keys(&mut self, prefix: String) -> wasmtime::Result<Result<Vec<String>, Failure>> {
        self.count_call(Capability::Store)?;
        match self.services.store.plugin_keys(&self.plugin, &prefix) {
            Ok(keys) => Ok(Ok(keys)),
            Err(error) => self.unreadable(&error),
        }
    }
}

impl CallState {
    /// What is wrong with the disk is the operator's business, not the guest's.
    fn unreadable<T>(&self, error: &StoreError) -> wasmtime::Result<Result<T, Failure>> {
        tracing::error!(plugin = &*self.plugin, "its store cannot be read: {error}");
        Ok(Err(Failure::Unavailable("the store cannot be read".into())))
    }
}

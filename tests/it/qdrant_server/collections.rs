//! The RPCs on collections, and what is known of one.

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use ::qdrant_client::qdrant::collections_server::Collections;
use ::qdrant_client::qdrant::*;
use serde_json::Value as Json;
use tonic::{Request, Response, Status};

use super::convert::{invalid, odd, without};
use super::model::{Kind, Points};
use super::strict::Strict;
use super::{Server, Untold};

#[derive(Debug, Clone)]
pub(super) struct Collection {
    /// As it was asked for.
    created: CreateCollection,
    made: Instant,
    metadata: HashMap<String, Value>,
    pub(super) strict: Strict,
    pub(super) points: Points,
}

impl Collection {
    /// An empty one. What changes answers must be understood; how a server stores and indexes vectors does not.
    fn new(created: CreateCollection, strict: &Strict) -> Result<Self, Status> {
        if !(1..=255).contains(&created.collection_name.len()) {
            let name = &created.collection_name;
            return Err(invalid("collection_name", &format!("value \"{name}\" invalid, must be from 1 to 255 characters")));
        }
        without(created.quantization_config.as_ref(), "quantization")?;
        without(created.sharding_method.as_ref(), "methods of sharding")?;
        let Some(vectors_config::Config::ParamsMap(dense)) = created.vectors_config.as_ref().and_then(|v| v.config.as_ref())
        else {
            return Err(odd("collections without named vectors"));
        };
        let mut points = Points::default();
        for (name, params) in &dense.map {
            without(params.quantization_config.as_ref(), "quantization")?;
            without(params.datatype.filter(|kind| *kind != i32::from(Datatype::Float32)), "numbers other than 32-bit floats")?;
            without(params.multivector_config.as_ref(), "multivectors")?;
            match params.distance() {
                Distance::Cosine => {}
                Distance::Dot => drop(points.raw.insert(name.clone())),
                _ => return Err(odd("this distance")),
            }
            if !(1..=65_536).contains(&params.size) {
                let words = format!("value {} invalid, must be from 1 to 65536", params.size);
                return Err(invalid("vectors_config.config.map.[].size", &words));
            }
            points.dense.insert(name.clone(), params.size as usize);
        }
        for (name, params) in created.sparse_vectors_config.iter().flat_map(|sparse| &sparse.map) {
            without(params.index.as_ref().and_then(|index| index.datatype), "numbers other than 32-bit floats")?;
            points.sparse.insert(name.clone(), params.modifier() == Modifier::Idf);
        }
        let strict = created.strict_mode_config.as_ref().map_or_else(|| Ok(strict.clone()), |said| strict.with(said))?;
        Ok(Self { metadata: created.metadata.clone(), created, made: Instant::now(), strict, points })
    }

    fn info(&self) -> CollectionInfo {
        let schema = self.points.indexed.iter().map(|(path, kind)| {
            let fits = |value: &Json| match kind {
                Kind::Keyword => value.is_string(),
                Kind::Integer => value.is_i64(),
            };
            let points = self.points.passing(None).filter(|(_, point)| {
                let mut values = path.values(&point.payload).into_iter();
                values.any(|value| fits(value) || value.as_array().is_some_and(|values| values.iter().any(fits)))
            });
            let data_type = match kind {
                Kind::Keyword => PayloadSchemaType::Keyword,
                Kind::Integer => PayloadSchemaType::Integer,
            };
            let info = PayloadSchemaInfo { data_type: data_type.into(), points: Some(points.count() as u64), params: None };
            (path.to_string(), info)
        });
        CollectionInfo {
            status: CollectionStatus::Green.into(),
            optimizer_status: Some(OptimizerStatus { ok: true, error: String::new() }),
            segments_count: 1,
            config: Some(self.config()),
            payload_schema: schema.collect(),
            points_count: Some(self.points.len() as u64),
            indexed_vectors_count: Some(0),
            ..CollectionInfo::default()
        }
    }

    /// What was asked for, and a server's own values, which clients want to read.
    fn config(&self) -> CollectionConfig {
        CollectionConfig {
            params: Some(CollectionParams {
                shard_number: self.created.shard_number.unwrap_or(1),
                vectors_config: self.created.vectors_config.clone(),
                sparse_vectors_config: self.created.sparse_vectors_config.clone(),
                replication_factor: self.created.replication_factor.or(Some(1)),
                write_consistency_factor: self.created.write_consistency_factor.or(Some(1)),
                ..CollectionParams::default()
            }),
            hnsw_config: Some(HnswConfigDiff {
                m: Some(16),
                ef_construct: Some(100),
                full_scan_threshold: Some(10_000),
                ..HnswConfigDiff::default()
            }),
            optimizer_config: Some(OptimizersConfigDiff {
                deleted_threshold: Some(0.2),
                vacuum_min_vector_number: Some(1000),
                default_segment_number: Some(0),
                flush_interval_sec: Some(5),
                ..OptimizersConfigDiff::default()
            }),
            wal_config: Some(WalConfigDiff {
                wal_capacity_mb: Some(32),
                wal_segments_ahead: Some(0),
                ..WalConfigDiff::default()
            }),
            strict_mode_config: self.strict.said(),
            metadata: self.metadata.clone(),
            ..CollectionConfig::default()
        }
    }
}

#[tonic::async_trait]
impl Collections for Server {
    async fn create(&self, request: Request<CreateCollection>) -> Result<Response<CollectionOperationResponse>, Status> {
        let mut created = self.enter(request).await?;
        if !self.0.options.keeps_metadata {
            created.metadata.clear();
        }
        let name = created.collection_name.clone();
        let strict = self.0.strict.lock().unwrap().clone();
        let mut collections = self.0.collections.write().unwrap();
        if collections.contains_key(&name) {
            return Err(Status::already_exists(format!("Wrong input: Collection `{name}` already exists!")));
        }
        collections.insert(name, Arc::new(RwLock::new(Collection::new(created, &strict)?)));
        Ok(Response::new(CollectionOperationResponse { result: true, time: 0.0 }))
    }

    async fn delete(&self, request: Request<DeleteCollection>) -> Result<Response<CollectionOperationResponse>, Status> {
        let name = self.enter(request).await?.collection_name;
        let removed = self.0.collections.write().unwrap().remove(&name);
        Ok(Response::new(CollectionOperationResponse { result: removed.is_some(), time: 0.0 }))
    }

    async fn get(&self, request: Request<GetCollectionInfoRequest>) -> Result<Response<GetCollectionInfoResponse>, Status> {
        let name = self.enter(request).await?.collection_name;
        let untold = self.0.faults.untold.lock().unwrap().get(&name).copied();
        match untold {
            None => {}
            Some(Untold::Unavailable) => return Err(Status::unavailable("the shard is moved")),
            Some(Untold::Broken) => return Err(Status::internal("Service internal error: out of disk")),
            Some(Untold::Denied) => return Err(Status::permission_denied(format!("Access to collection {name} is required"))),
            Some(Untold::Silent) => std::future::pending().await,
        }
        let making = Duration::from_millis(self.0.faults.making_ms.load(Ordering::SeqCst));
        let info = self.read(&name, move |collection| {
            if collection.made.elapsed() < making {
                // In a real one's words (1.19, of three nodes).
                return Err(Status::internal("Service internal error: 0 of 0 read operations failed"));
            }
            Ok(collection.info())
        });
        let info = info.await?;
        Ok(Response::new(GetCollectionInfoResponse { result: Some(info), time: 0.0 }))
    }

    async fn list(&self, request: Request<ListCollectionsRequest>) -> Result<Response<ListCollectionsResponse>, Status> {
        self.enter(request).await?;
        let collections = self.0.collections.read().unwrap();
        let collections = collections.keys().map(|name| CollectionDescription { name: name.clone() }).collect();
        Ok(Response::new(ListCollectionsResponse { collections, time: 0.0 }))
    }

    async fn collection_exists(
        &self,
        request: Request<CollectionExistsRequest>,
    ) -> Result<Response<CollectionExistsResponse>, Status> {
        let name = self.enter(request).await?.collection_name;
        let result = Some(CollectionExists { exists: self.0.collection(&name).is_ok() });
        Ok(Response::new(CollectionExistsResponse { result, time: 0.0 }))
    }

    async fn update(&self, request: Request<UpdateCollection>) -> Result<Response<CollectionOperationResponse>, Status> {
        let UpdateCollection {
            collection_name,
            optimizers_config: _,
            timeout: _,
            params,
            hnsw_config: _,
            vectors_config,
            quantization_config,
            sparse_vectors_config,
            strict_mode_config,
            metadata,
        } = self.enter(request).await?;
        let params = params.unwrap_or_default();
        without(params.read_fan_out_factor, "other parameters of a collection")?;
        without(params.read_fan_out_delay_ms, "other parameters of a collection")?;
        without(vectors_config, "other vectors of a collection")?;
        without(sparse_vectors_config, "other vectors of a collection")?;
        without(quantization_config, "quantization")?;
        let keeps = self.0.options.keeps_metadata;
        self.write(&collection_name, move |collection| {
            let created = &mut collection.created;
            created.replication_factor = params.replication_factor.or(created.replication_factor);
            created.write_consistency_factor = params.write_consistency_factor.or(created.write_consistency_factor);
            if let Some(said) = strict_mode_config {
                collection.strict = collection.strict.with(&said)?;
            }
            // Merged by its keys, as a real server does; a null takes one away.
            let metadata: BTreeMap<_, _> = if keeps { metadata.into_iter().collect() } else { BTreeMap::new() };
            for (key, value) in metadata {
                match value.kind {
                    None | Some(value::Kind::NullValue(_)) => collection.metadata.remove(&key),
                    _ => collection.metadata.insert(key, value),
                };
            }
            Ok(())
        })
        .await?;
        Ok(Response::new(CollectionOperationResponse { result: true, time: 0.0 }))
    }

    super::not_here! {
        update_aliases(ChangeAliases) -> CollectionOperationResponse;
        list_collection_aliases(ListCollectionAliasesRequest) -> ListAliasesResponse;
        list_aliases(ListAliasesRequest) -> ListAliasesResponse;
        collection_cluster_info(CollectionClusterInfoRequest) -> CollectionClusterInfoResponse;
        update_collection_cluster_setup(UpdateCollectionClusterSetupRequest) -> UpdateCollectionClusterSetupResponse;
        create_shard_key(CreateShardKeyRequest) -> CreateShardKeyResponse;
        delete_shard_key(DeleteShardKeyRequest) -> DeleteShardKeyResponse;
        list_shard_keys(ListShardKeysRequest) -> ListShardKeysResponse;
    }
}

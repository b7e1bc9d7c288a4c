//! A Qdrant server that forgets: it acknowledges every write at once and keeps only what an index was made with. What the
//! program under measurement takes over it, in time and memory, is the pipeline's own.
//!
//! Prints its URL as its first line. It can be written to and not be read: a second run needs a sink of its own.

#![allow(
    clippy::wildcard_imports,
    clippy::unnecessary_wraps,
    reason = "a service names every message, and answers in its terms"
)]

use std::collections::HashMap;
use std::io::Read as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use ::qdrant_client::qdrant::collections_server::{Collections, CollectionsServer};
use ::qdrant_client::qdrant::points_server::{Points, PointsServer};
use ::qdrant_client::qdrant::*;
use tokio::net::TcpListener;
use tonic::{Request, Response, Status};

type Answer<T> = Result<Response<T>, Status>;

/// The collections that were made.
#[derive(Debug, Clone, Default)]
struct Sink(Arc<Mutex<HashMap<String, CreateCollection>>>);

impl Sink {
    fn with<T>(&self, work: impl FnOnce(&mut HashMap<String, CreateCollection>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn done(result: bool) -> Answer<CollectionOperationResponse> {
    Ok(Response::new(CollectionOperationResponse { result, time: 0.0 }))
}

fn written() -> Answer<PointsOperationResponse> {
    let result = UpdateResult { operation_id: None, status: UpdateStatus::Completed.into() };
    Ok(Response::new(PointsOperationResponse { result: Some(result), ..PointsOperationResponse::default() }))
}

macro_rules! not_here {
    ($($method:ident($request:ty) -> $response:ty;)*) => {$(
        fn $method<'life0, 'async_trait>(
            &'life0 self,
            _: Request<$request>,
        ) -> Pin<Box<dyn Future<Output = Answer<$response>> + Send + 'async_trait>>
        where
            'life0: 'async_trait,
            Self: 'async_trait,
        {
            Box::pin(async { Err(Status::unimplemented("not in this sink")) })
        }
    )*};
}

#[tonic::async_trait]
impl Collections for Sink {
    async fn create(&self, request: Request<CreateCollection>) -> Answer<CollectionOperationResponse> {
        let created = request.into_inner();
        self.with(|made| made.insert(created.collection_name.clone(), created));
        done(true)
    }

    async fn delete(&self, request: Request<DeleteCollection>) -> Answer<CollectionOperationResponse> {
        done(self.with(|made| made.remove(&request.get_ref().collection_name)).is_some())
    }

    async fn get(&self, request: Request<GetCollectionInfoRequest>) -> Answer<GetCollectionInfoResponse> {
        let name = &request.get_ref().collection_name;
        let made = self.with(|made| made.get(name).cloned());
        let made = made.ok_or_else(|| Status::not_found(format!("Not found: Collection `{name}` doesn't exist!")))?;
        let params = CollectionParams { vectors_config: made.vectors_config, ..CollectionParams::default() };
        let config = CollectionConfig { params: Some(params), metadata: made.metadata, ..CollectionConfig::default() };
        let result =
            CollectionInfo { status: CollectionStatus::Green.into(), config: Some(config), ..CollectionInfo::default() };
        Ok(Response::new(GetCollectionInfoResponse { result: Some(result), time: 0.0 }))
    }

    async fn update(&self, request: Request<UpdateCollection>) -> Answer<CollectionOperationResponse> {
        let UpdateCollection { collection_name, metadata, .. } = request.into_inner();
        done(self.with(|made| made.get_mut(&collection_name).map(|made| made.metadata.extend(metadata))).is_some())
    }

    not_here! {
        list(ListCollectionsRequest) -> ListCollectionsResponse;
        collection_exists(CollectionExistsRequest) -> CollectionExistsResponse;
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

#[tonic::async_trait]
impl Points for Sink {
    async fn upsert(&self, _: Request<UpsertPoints>) -> Answer<PointsOperationResponse> {
        written()
    }

    async fn delete(&self, _: Request<DeletePoints>) -> Answer<PointsOperationResponse> {
        written()
    }

    async fn create_field_index(&self, _: Request<CreateFieldIndexCollection>) -> Answer<PointsOperationResponse> {
        written()
    }

    async fn scroll(&self, _: Request<ScrollPoints>) -> Answer<ScrollResponse> {
        Ok(Response::new(ScrollResponse::default()))
    }

    not_here! {
        update_batch(UpdateBatchPoints) -> UpdateBatchResponse;
        count(CountPoints) -> CountResponse;
        query(QueryPoints) -> QueryResponse;
        get(GetPoints) -> GetResponse;
        update_vectors(UpdatePointVectors) -> PointsOperationResponse;
        delete_vectors(DeletePointVectors) -> PointsOperationResponse;
        set_payload(SetPayloadPoints) -> PointsOperationResponse;
        overwrite_payload(SetPayloadPoints) -> PointsOperationResponse;
        delete_payload(DeletePayloadPoints) -> PointsOperationResponse;
        clear_payload(ClearPayloadPoints) -> PointsOperationResponse;
        delete_field_index(DeleteFieldIndexCollection) -> PointsOperationResponse;
        create_vector_name(CreateVectorNameRequest) -> PointsOperationResponse;
        delete_vector_name(DeleteVectorNameRequest) -> PointsOperationResponse;
        search(SearchPoints) -> SearchResponse;
        search_batch(SearchBatchPoints) -> SearchBatchResponse;
        search_groups(SearchPointGroups) -> SearchGroupsResponse;
        recommend(RecommendPoints) -> RecommendResponse;
        recommend_batch(RecommendBatchPoints) -> RecommendBatchResponse;
        recommend_groups(RecommendPointGroups) -> RecommendGroupsResponse;
        discover(DiscoverPoints) -> DiscoverResponse;
        discover_batch(DiscoverBatchPoints) -> DiscoverBatchResponse;
        query_batch(QueryBatchPoints) -> QueryBatchResponse;
        query_groups(QueryPointGroups) -> QueryGroupsResponse;
        facet(FacetCounts) -> FacetResponse;
        search_matrix_pairs(SearchMatrixPoints) -> SearchMatrixPairsResponse;
        search_matrix_offsets(SearchMatrixPoints) -> SearchMatrixOffsetsResponse;
    }
}

/// Serves until its stdin ends, as it does when the parent process ends.
pub fn serve() -> std::io::Result<()> {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    // One thread: the program under test needs the cores.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("http://{}", listener.local_addr()?);
        let incoming = async_stream::stream! {
            loop {
                yield listener.accept().await.map(|(stream, _)| stream);
            }
        };
        let sink = Sink::default();
        tonic::transport::Server::builder()
            .add_service(CollectionsServer::new(sink.clone()))
            .add_service(PointsServer::new(sink).max_decoding_message_size(64 << 20))
            .serve_with_incoming(incoming)
            .await
            .map_err(std::io::Error::other)
    })
}

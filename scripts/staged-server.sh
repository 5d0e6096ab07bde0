#!/usr/bin/env bash
# Before version 18 PostgreSQL finds extensions in its own folders only. This makes a tree of links to them and to the staged
# extension, since the tests write nothing into PostgreSQL's folders, and prints the path of the tree's pg_config:
#
#     staged-server.sh STAGE
#
# PostgreSQL looks for its folders from where its programs are, after links are resolved: those are copied.
source "$(dirname "$0")/common.sh"

stage=$1
pg_config=$("$(dirname "$0")/postgresql.sh")
bin=$("$pg_config" --bindir) lib=$("$pg_config" --pkglibdir) share=$("$pg_config" --sharedir)
new=$stage/server.new
rm -rf "$new"
mkdir -p "$new$bin" "$new$lib" "$new$share"
cp "$bin"/{initdb,pg_basebackup,pg_config,pg_ctl,postgres,psql} "$new$bin"
cp -rs "$lib/." "$new$lib"
cp -rs "$share/." "$new$share"
ln -sf "$stage"/share/extension/validator* "$new$share/extension"
ln -sf "$stage/lib/validator.so" "$new$lib"
rm -rf "$stage/server"
mv "$new" "$stage/server"
echo "$stage/server$bin/pg_config"

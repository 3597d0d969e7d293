-- disk: what the files of the attempts of a request take, by attempt and archive
-- :reqnum  number of the request
-- example: facade sql disk --reqnum 11
\set reqnum 11
select attempt_name(a) as attempt,
       a.data_state, l.archive_name as archive, count(*) as files, sum(d.filesize) as bytes,
       pg_size_pretty(sum(d.filesize)) as size
  from pfw_attempt a
  join desfile d on d.pfw_attempt_id = a.id
  join file_location l on l.desfile_id = d.id
 where a.reqnum = :'reqnum'
 group by a.id, l.archive_name
 order by sum(d.filesize) desc, a.id, l.archive_name;
